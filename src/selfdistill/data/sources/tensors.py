"""Arrays of inputs and labels in a file, by their names: examples of all splits."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from selfdistill.data.drawn_part import TestPart, as_typed, option_of, sameness
from selfdistill.data.examples import Examples, named_inputs
from selfdistill.data.sources.folder_layout import SPLIT_WORDS
from selfdistill.data.sources.options import parse_share
from selfdistill.data.sources.tensor_file import TensorFile, task_of_labels, tensor_options
from selfdistill.data.sources.tensor_names import ALL, CLASS_NAMES, ArrayNames, assign_arrays
from selfdistill.data.subsets import TEST_SHARE, draw_test
from selfdistill.data.tensor_labels import IGNORED_BYTE, class_names, one_hot_note, to_labels
from selfdistill.data.tensor_layout import channels_first
from selfdistill.errors import UserError
from selfdistill.task import SEGMENT, TAG, TaskName

SPLITS = ("train", "validation", "test")
CHANNELS = (None, "first", "last", "none")


class TensorSourceData(NamedTuple):
    """Examples of a data set of tensors as its file splits them."""

    train: Examples
    validation: Examples | None
    test: Examples
    classes: tuple[str, ...]
    task: TaskName
    notes: tuple[str, ...]  # sentences on what was left out, or read in a way that may surprise


class ReadSplits(NamedTuple):
    """Examples by split, and sentences on them."""

    splits: dict[str, Examples]
    notes: tuple[str, ...]


def read_tensors(argument: str, test: TestPart = 0.0) -> TensorSourceData:
    """Read `tensors:PATH`, with options such as `tensors:PATH?input=NAME&label=NAME`. Raises `UserError`."""
    return read_arrays(*tensor_options(argument), test)


def read_arrays(path: Path, options: Mapping[str, str], test: TestPart = 0.0) -> TensorSourceData:
    """Read the arrays of a file; `test` is the part of the training rows that is drawn as test rows."""
    if test and "test" in options:
        raise UserError(f"{as_typed(test)} and ?test={options['test']} both draw test rows; keep one of them")
    file = TensorFile(path)
    names = assign_arrays(file.names, options, path)
    task = task_of_labels(file.dims(next(iter(names.labels.values()))))
    _require_fitting(options, task)
    read = _read(file, names, task, options)
    splits, notes = _with_drawn(read, file, names, test) if test else _split(read, file, names, options)
    labels = [splits[split].labels for split in SPLITS if split in splits]
    classes = class_names(labels, file.texts(CLASS_NAMES), task, repr(str(path)))
    held = splits.get("validation") if "test" in splits else None
    tested = splits["test" if "test" in splits else "validation"]
    return TensorSourceData(splits["train"], held, tested, classes, task, notes)


def _require_fitting(options: Mapping[str, str], task: TaskName) -> None:
    if "ignore" in options and task != SEGMENT:
        raise UserError(
            "?ignore names the id of pixels without a label, but these labels are not of pixels; leave it out"
        )
    if (channels := options.get("channels")) not in CHANNELS:
        raise UserError(f"cannot read ?channels={channels}; write first, last or none")


def _read(file: TensorFile, names: ArrayNames, task: TaskName, options: Mapping[str, str]) -> ReadSplits:
    """Read the arrays of all splits, checked and with channels first."""
    made = {split: _examples(file, names, split, task, options) for split in names.labels}
    splits = {split: examples for split, (examples, _) in made.items()}
    _require_one_shape(splits, file.path)
    _, notes = made["train" if "train" in made else ALL]
    return ReadSplits(splits, (*notes, *_left_out(names, file.path)))


def _examples(
    file: TensorFile, names: ArrayNames, split: str, task: TaskName, options: Mapping[str, str]
) -> tuple[Examples, list[str]]:
    """Read the arrays of a split, and return sentences on them."""
    label = names.labels[split]
    stored = file.tensor(label)
    labels = to_labels(stored, task, repr(label), _ignored_id(options, stored))
    inputs, notes = dict[str, Tensor](), [one_hot_note(labels, label) if task == TAG else None]
    for part, name in names.inputs[split].items():
        inputs[part], note = channels_first(file.tensor(name), name, options.get("channels"))
        _require_rows(inputs[part], labels, name, label, file.path)
        notes.append(note)
    only = next(iter(inputs.values()))
    return Examples(inputs if len(inputs) > 1 else only, labels), [each for each in notes if each]


def _require_rows(values: Tensor, labels: Tensor, name: str, label: str, path: Path) -> None:
    if not values.dim() or len(values) != len(labels) or not values.numel():
        raise UserError(
            f"the input {name!r} of {str(path)!r} has the shape {[*values.shape]}, but there are {len(labels)} labels "
            f"{label!r}; make one row for each, or choose the inputs by ?input=NAME"
        )


def _require_one_shape(splits: Mapping[str, Examples], path: Path) -> None:
    """Raise `UserError` for splits whose inputs differ in shape or kind."""
    first = next(iter(splits.values()))
    for split, each in splits.items():
        if _shapes(each) != _shapes(first):
            raise UserError(
                f"an example of {str(path)!r} is {_shapes(first)} in training, but {_shapes(each)} in {split}; make "
                "all of one shape and kind"
            )


def _shapes(examples: Examples) -> str:
    """Dtype and shape of an example."""
    inputs = named_inputs(examples.inputs).items()
    found = (f"{name} {str(each.dtype)[6:]} {[*each.shape[1:]]}".strip() for name, each in inputs)
    return ", ".join(found)


def _left_out(names: ArrayNames, path: Path) -> Iterator[str]:
    if names.unread:
        yield f"left out these arrays of {path}: {', '.join(names.unread)}"
    for split in names.unlabelled:
        yield f"the {split} arrays of {path} have no labels and are left out"


def _split(read: ReadSplits, file: TensorFile, names: ArrayNames, options: Mapping[str, str]) -> ReadSplits:
    """Split the rows by the array `split`, or draw the test examples where there are none."""
    splits, notes = read
    if names.split is not None and "test" not in options:
        return ReadSplits(_by_array(splits[ALL], file, names.split), notes)
    if "test" in options and len(splits) > 1:
        raise UserError(
            f"{str(file.path)!r} has {' and '.join(splits)} arrays, so there is nothing to draw; leave ?test out"
        )
    if len(splits) > 1:
        return read
    whole = next(iter(splits.values()))
    train, test = draw_test(whole.labels, parse_share(options.get("test"), TEST_SHARE))
    why = "" if "test" in options else f"{file.path} has no test arrays: "
    note = f"{why}{len(test)} of {'its' if why else f'the {len(whole)}'} rows, the same in every run, are the test set"
    return ReadSplits({"train": whole.rows(train), "test": whole.rows(test)}, (*notes, note))


def _with_drawn(read: ReadSplits, file: TensorFile, names: ArrayNames, part: TestPart) -> ReadSplits:
    """Draw the test rows from those of training; raise `UserError` where there are test rows."""
    splits = _by_array(read.splits[ALL], file, names.split) if names.split is not None else read.splits
    if "test" in splits:
        raise UserError(f"{str(file.path)!r} has test rows, so there is nothing to draw; leave out {option_of(part)}")
    whole = splits[ALL if ALL in splits else "train"]
    train, test = draw_test(whole.labels, part)
    kept = {split: each for split, each in splits.items() if split == "validation"}
    note = f"{len(test)} of the {len(whole)} rows of {str(file.path)!r}, {sameness(part)}, are the test set"
    return ReadSplits({"train": whole.rows(train), "test": whole.rows(test)} | kept, (*read.notes, note))


def _by_array(whole: Examples, file: TensorFile, name: str) -> dict[str, Examples]:
    """Split rows by an array of 0, 1 and 2, or of words."""
    words = _split_words(file, name)
    if len(words) != len(whole):
        raise UserError(f"{name!r} of {str(file.path)!r} has {len(words)} rows, but there are {len(whole)} labels")
    for word in words:
        if word not in SPLITS:
            raise UserError(
                f"{name!r} of {str(file.path)!r} holds {word!r}, but splits are 0, 1 and 2 for train, validation and "
                "test, or these words"
            )
    rows = {split: torch.tensor([k for k, word in enumerate(words) if word == split]) for split in dict.fromkeys(words)}
    if "train" not in rows or len(rows) < 2:
        raise UserError(f"{name!r} of {str(file.path)!r} has {' and '.join(rows)} rows alone; mark some as 0 and as 2")
    return {split: whole.rows(index) for split, index in rows.items()}


def _split_words(file: TensorFile, name: str) -> list[str]:
    """Splits of all rows; values that name none as they are."""
    try:
        numbers = file.tensor(name).flatten().tolist()
    except UserError:
        texts = file.texts(name) or []
        return [SPLIT_WORDS.get(each.lower(), each) for each in texts]
    return [SPLITS[int(each)] if each in (0, 1, 2) else str(each) for each in numbers]


def _ignored_id(options: Mapping[str, str], values: Tensor) -> int | None:
    """Return the id of pixels without a label; by default 255 in unsigned bytes, and none in other arrays."""
    text = options.get("ignore")
    if text is None:
        return IGNORED_BYTE if values.dtype == torch.uint8 else None
    if text != "none" and not (text.isascii() and text.isdecimal()):
        raise UserError(f"cannot read ?ignore={text}; write the id of pixels without a label, or ?ignore=none")
    return None if text == "none" else int(text)
