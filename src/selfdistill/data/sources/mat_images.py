"""Images whose classes lie in MATLAB files, in the layout of Stanford Cars: cars_train/ and devkit/*_annos.mat."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.sources import first_line
from selfdistill.data.sources.class_titles import titled
from selfdistill.data.sources.image_files import folders
from selfdistill.data.sources.listed_images import ListedImage, ListedSplits, class_of_cell, require_files
from selfdistill.data.sources.options import parse_range, split_options
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.errors import UserError
from selfdistill.files import is_folder

OPTIONS = {"missing": "skip", "range": "BLACK..WHITE"}
TABLE, FILE, CLASS, NAMES = "annotations", "fname", "class", "class_names"
SPLITS = ("train", "test")
MISSING = "add the images, or leave out those that are not there by ?missing=skip"


def read(name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0) -> SourceData:
    """Read `mat:PATH`, a folder with the images of each split and the files of the development kit."""
    path, options = split_options(argument, OPTIONS)
    if options.get("missing", "skip") != "skip":
        raise UserError(f"cannot read ?missing={options['missing']}; write ?missing=skip, or leave it out")
    root = Path(path).expanduser()
    tables, titles = _tables(root), _titles(root)
    rows, notes = dict[str, Sequence[ListedImage]](), list[str]()
    for split, file in tables.items():
        rows[split], lost = _existing(_rows(file, root, split), file, root, "missing" in options)
        notes += (
            [f"left out {lost} images of {file} that do not exist in {root}, as ?missing=skip asks"] if lost else []
        )
    named = partial(titled, titles=titles, where=repr(path))
    splits = ListedSplits(repr(path), rows, named, tuple(notes))
    return splits.read(pick, size, parse_range(options.get("range")), test)


def _tables(root: Path) -> dict[str, Path]:
    """Return the .mat file of each split, by its name. Raises `UserError` without one of training."""
    if not is_folder(root):
        raise UserError(f"there is no folder {str(root)!r}; mat:PATH holds cars_train/ and devkit/*_annos.mat")
    files = [each for each in sorted(root.rglob("*.mat")) if "annos" in each.stem]
    found: dict[str, Path] = {}
    for split in SPLITS:
        there = [each for each in files if split in each.stem]
        labelled = [each for each in there if "withlabels" in each.stem] or there
        if len(labelled) > 1:
            raise UserError(f"{' and '.join(map(str, labelled))} both list {split} images; move one of them away")
        if labelled:
            found[split] = labelled[0]
    if "train" not in found:
        raise UserError(
            f"{str(root)!r} has no *train_annos.mat, but {', '.join(each.name for each in files) or 'no *annos.mat'}; "
            "put the development kit there, such as devkit/cars_train_annos.mat"
        )
    return found


def _rows(file: Path, root: Path, split: str) -> list[ListedImage]:
    """Images of a table: records with a file name and a class."""
    table = _load(file).get(TABLE)
    fields = getattr(getattr(table, "dtype", None), "names", None) or ()
    if table is None or not {FILE, CLASS} <= {*fields}:
        found = ", ".join(fields) or "no records"
        raise UserError(
            f"{str(file)!r} needs the records {TABLE!r} with the fields {FILE!r} and {CLASS!r}, but has {found}; test "
            "images without labels are left out by moving their file away"
        )
    folder = _folder(root, split)
    records = list(zip(table[FILE].ravel().tolist(), table[CLASS].ravel().tolist(), strict=True))
    return [
        ListedImage(folder / str(name), class_of_cell(str(label), place), place)
        for k, (name, label) in enumerate(records, start=1)
        for place in [f"record {k} of {str(file)!r}"]
    ]


def _folder(root: Path, split: str) -> Path:
    """Return the folder of a split's images: the only one whose name has the split, else the root."""
    found = [each for each in folders(root) if split in each.lower()]
    if len(found) > 1:
        raise UserError(f"{' and '.join(found)} in {str(root)!r} may both hold {split} images; move one of them away")
    return root / found[0] if found else root


def _existing(rows: Sequence[ListedImage], file: Path, root: Path, skip: bool) -> tuple[Sequence[ListedImage], int]:
    """Return the images that exist and the count of the others. Raises `UserError` for others, unless to `skip`."""
    kept = [each for each in rows if os.path.isfile(each.file)]
    if not skip or not kept:
        require_files(rows, repr(str(file)), root, MISSING if kept else "name the folder that holds them")
    return kept, len(rows) - len(kept)


def _titles(root: Path) -> Mapping[str, str]:
    """Names of the classes by their numbers from 1, from *_meta.mat; empty without one."""
    for file in sorted(root.rglob("*meta.mat")):
        names = _load(file).get(NAMES)
        if names is not None:
            return {str(k): str(each) for k, each in enumerate(names.ravel().tolist(), start=1)}
    return {}


def _load(file: Path) -> dict[str, Any]:
    """Read a .mat file. Raises `UserError` for a damaged one, and for version 7.3, which is HDF5."""
    from scipy.io import loadmat

    try:
        found: dict[str, Any] = loadmat(str(file), squeeze_me=True)
    except NotImplementedError:
        raise UserError(f"{str(file)!r} is of MATLAB 7.3; save it with -v7") from None
    except Exception as error:  # of many types in damaged files
        raise UserError(f"cannot read {str(file)!r}: {first_line(error)}; fetch it again") from None
    return found
