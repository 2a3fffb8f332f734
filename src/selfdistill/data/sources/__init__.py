"""Data sources: one module each, listed in `SOURCES` and chosen by the first word of a data specification."""

import importlib
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from selfdistill.data.drawn_part import option_of
from selfdistill.errors import UserError
from selfdistill.files import exists
from selfdistill.task import CLASSIFY, SEGMENT, TAG, TaskName

if TYPE_CHECKING:  # `SOURCES` is read without torch, as by `--help`
    from selfdistill.data.drawn_part import TestPart
    from selfdistill.data.sources.source_data import (
        DrawingSourceModule,
        Inspector,
        MaskedSourceData,
        MaskedSourceModule,
        PickCount,
        PickRows,
        SourceData,
        SourceModule,
    )


class Source(NamedTuple):
    """Module, syntax and description of a data source."""

    module: str  # imported on first use, with the libraries it needs
    usage: str
    about: str
    tasks: tuple[TaskName, ...] = (CLASSIFY,)  # of several, the argument's first word is the task
    inspector: str | None = None  # module without torch whose `task` and `files` read the argument
    images: bool = True
    draws: bool = False  # a test part from the training images, where the data have none


SOURCES = {
    "digits": Source("digits", "digits", "scikit-learn's 1797 handwritten digits of 8x8, no download", draws=True),
    "parquet": Source(
        "parquet",
        "parquet:PATH[?image=COLUMN&label=COLUMN&group=COLUMN&range=BLACK..WHITE]",
        "a folder of train-*.parquet and test-*.parquet, as on the hub",
        draws=True,
    ),
    "folder": Source(
        "folder",
        "folder:PATH[?classes=leaf&skip=CLASS&names=FILE&range=BLACK..WHITE]",
        "class folders in train/ and val/ or test/, or alone with --test; CINIC-10, Tiny-ImageNet-200",
        draws=True,
    ),
    "csv": Source(
        "csv_images",
        "csv:PATH[?path=COLUMN&label=COLUMN|label=COLUMN,COLUMN|tags=COLUMN&split=COLUMN|test=SHARE&group=COLUMN"
        "&weight=COLUMN&root=FOLDER]",
        "a table of paths with a class or tags in each row, of commas or tabs",
        (CLASSIFY, TAG),
        "csv_files",
        draws=True,
    ),
    "list": Source(
        "list_images",
        "list:PATH[?label=NUMBER|classes=top|leaf&skip=CLASS&names=FILE&group=NUMBER&root=FOLDER&range=BLACK..WHITE]",
        "lists of paths and labels, train.txt and test.txt, or one list",
        inspector="list_files",
        draws=True,
    ),
    "wds": Source(
        "wds_images",
        "wds:PATTERN[?test=PATTERN&val=PATTERN&image=EXTENSION&label=EXTENSION&key=NAME&names=FILE&range=BLACK..WHITE]",
        "tar shards of WebDataset, such as train-{000..003}.tar",
        inspector="wds_shards",
        draws=True,
    ),
    "npz": Source(
        "npz_images",
        "npz:PATH[?input=NAME&label=NAME]",
        "arrays of 8-bit images and labels in an .npz file, as of MedMNIST",
        (CLASSIFY, TAG),
        "npz_file",
        draws=True,
    ),
    "mat": Source(
        "mat_images",
        "mat:PATH[?missing=skip&range=BLACK..WHITE]",
        "images whose classes lie in MATLAB files, as Stanford Cars",
        draws=True,
    ),
    "cifar10": Source("torchvision", "cifar10", "CIFAR-10, downloaded once"),
    "cifar100": Source("torchvision", "cifar100", "CIFAR-100, downloaded once"),
    "svhn": Source("torchvision", "svhn", "Street View House Numbers, downloaded once"),
    "fashion-mnist": Source("torchvision", "fashion-mnist", "Fashion-MNIST, downloaded once"),
    "hub": Source(
        "hub",
        "hub:ORG/NAME[?image=COLUMN&label=COLUMN&group=COLUMN&range=BLACK..WHITE]",
        "a data set of the hub; needs pip install 'selfdistill[hub]'",
        draws=True,
    ),
    "masks": Source(
        "masks",
        "masks:PATH[?ignore=ID&range=BLACK..WHITE]",
        "images/ and masks/ of equal names; PASCAL VOC, Cityscapes",
        (SEGMENT,),
    ),
    "tensors": Source(
        "tensors",
        "tensors:PATH[?input=NAME&label=NAME&test=SHARE&channels=first|last|none]",
        "arrays of inputs and labels in an .npz or .safetensors file",
        (CLASSIFY, TAG, SEGMENT),
        "tensor_file",
        images=False,
        draws=True,
    ),
    "shapes": Source(
        "shapes",
        "shapes:segment|tag[,size=64,train=1000,test=300]",
        "drawn shapes on textures, with exact masks or the tags of what is there",
        (SEGMENT, TAG),
    ),
    "own": Source("own_data", "own:MODULE:CALLABLE", "images and labels that a function of your own gives", draws=True),
    "fake": Source("fake", "fake[:classes=10,size=32,train=256,test=64]", "random images of tinted noise, for tests"),
}


def read(spec: str, pick: "PickRows", size: int | None, test: "TestPart" = 0.0) -> "SourceData":
    """Read the data set of a specification such as "digits" or "folder:PATH".

    `test` is the part of the training images that is drawn as test images. Raises `UserError`, also where the data
    have test images.
    """
    name, _, argument = spec.partition(":")
    _require_images(spec)
    if task_of(spec) == SEGMENT:
        raise UserError(f"{spec} has a class for each pixel, not for each image; load it with sd.data.load_masks")
    module = importlib.import_module(f"selfdistill.data.sources.{SOURCES[name].module}")
    if not test:
        plain: SourceModule = module
        return plain.read(name, argument, pick, size)
    require_drawing(spec, test)
    drawing: DrawingSourceModule = module
    return drawing.read(name, argument, pick, size, test)


def require_drawing(spec: str, part: "TestPart") -> None:
    """Raise `UserError` for data whose test part is given, so that none can be drawn."""
    if not SOURCES[spec.partition(":")[0]].draws:
        there = ", ".join(each.usage.partition("[")[0] for each in SOURCES.values() if each.draws)
        raise UserError(
            f"{spec} has its own test part, so {option_of(part)} has nothing to draw; it is for {there}; leave it out"
        )


def read_masked(spec: str, pick: "PickCount", skip_unreadable: bool = False) -> "MaskedSourceData":
    """Read the segmentation data set of a specification such as "masks:PATH". Raises `UserError`."""
    name, _, argument = spec.partition(":")
    _require_images(spec)
    if task_of(spec) != SEGMENT:
        there = ", ".join(
            each.usage.partition("[")[0] for each in SOURCES.values() if SEGMENT in each.tasks and each.images
        )
        raise UserError(f"{spec} has no masks; sources with a class for each pixel are {there}")
    module: MaskedSourceModule = importlib.import_module(f"selfdistill.data.sources.{SOURCES[name].module}")
    return module.read_masked(name, argument, pick, skip_unreadable)


def require_tensors(spec: str) -> None:
    """Raise `UserError` unless a specification is of tensors, such as "tensors:PATH"."""
    if holds_images(spec):
        there = ", ".join(each.usage.partition("[")[0] for each in SOURCES.values() if not each.images)
        raise UserError(f"{spec} has images, not tensors; sources of tensors are {there}")


def task_of(spec: str) -> TaskName:
    """Task of a data set: "classify", "segment" or "tag". Raises `UserError` for a specification without a source.

    >>> task_of("digits"), task_of("masks:PATH")
    ('classify', 'segment')
    """
    name, _, argument = spec.partition(":")
    if name not in SOURCES:
        raise UserError(f"there is no data source {name!r}; {_hint(spec, name)}there are {', '.join(SOURCES)}")
    source = SOURCES[name]
    if argument and ":" not in source.usage:
        raise UserError(f"{name} takes nothing after the colon, but got {argument!r}; write {source.usage}")
    if not argument and ":" in source.usage.partition("[")[0]:
        raise UserError(f"{name} needs an argument: {source.usage}, {source.about}")
    if source.inspector:
        return _inspector(source.inspector).task(argument)
    task = argument.partition(",")[0] if len(source.tasks) > 1 else source.tasks[0]
    if task not in source.tasks:
        raise UserError(f"cannot read {task!r} of {spec}; write {source.usage}")
    return task


def path_of(spec: str) -> Path | None:
    """Return the path that a specification such as "folder:PATH" reads; None for sources without a path."""
    name, _, argument = spec.partition(":")
    if name not in SOURCES or not SOURCES[name].usage.startswith(f"{name}:PATH"):
        return None
    return Path(split_query(argument)[0]).expanduser()


def files_of(spec: str) -> list[Path] | None:
    """Return the files of a data set that lists them, as a table does; None for other sources. Raises `UserError`."""
    name, _, argument = spec.partition(":")
    source = SOURCES.get(name)
    return _inspector(source.inspector).files(argument) if source and source.inspector and argument else None


def split_query(argument: str) -> tuple[str, str]:
    """Split "PATH?QUERY"; a path that exists as it stands has no query."""
    path, _, query = argument.partition("?")
    with suppress(UserError):  # a name that the system refuses
        if query and exists(Path(argument).expanduser()):
            return argument, ""
    return path, query


def first_line(error: Exception) -> str:
    """First line of another library's error message, or the type of the error."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _require_images(spec: str) -> None:
    if not holds_images(spec):
        raise UserError(f"{spec} has tensors, not images; load it with sd.data.load_tensors")


def holds_images(spec: str) -> bool:
    """Return whether a data set is of images; others are of tensors."""
    name = spec.partition(":")[0]
    return name not in SOURCES or SOURCES[name].images


def _inspector(module: str) -> "Inspector":
    found: Inspector = importlib.import_module(f"selfdistill.data.sources.{module}")
    return found


def _hint(spec: str, name: str) -> str:
    if ":" in spec and "/" not in spec and spec.partition(":")[2].isidentifier():
        return f"for data of your own write own:{spec}; "
    near = get_close_matches(name.lower(), SOURCES, n=1)
    if near:
        return f"did you mean {near[0]!r}? "
    with suppress(UserError):  # a name that the system refuses
        if exists(spec):
            return f"did you mean 'folder:{spec}', 'parquet:{spec}' or 'masks:{spec}'? "
    return ""
