"""Arrays of a file by what they hold: inputs and labels, of each split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from selfdistill.data.sources.folder_layout import SPLIT_WORDS
from selfdistill.errors import UserError

LABELS = ("y", "label", "labels", "target", "targets", "tags", "mask", "masks")  # in any case
SPLIT, CLASS_NAMES = "split", "class_names"
ALL = "all"  # the split of arrays whose names have none


class ArrayNames(NamedTuple):
    """Names of arrays by split; the only split is "all" where the names have none."""

    inputs: Mapping[str, Mapping[str, str]]  # by split and input
    labels: Mapping[str, str]  # by split
    split: str | None  # of the array with the split of each row
    unread: tuple[str, ...]
    unlabelled: tuple[str, ...]  # splits that are left out, as they have no labels


class _ArrayName(NamedTuple):
    split: str
    part: str  # the name without the split


def assign_arrays(names: Sequence[str], options: Mapping[str, str], path: Path) -> ArrayNames:
    """Assign arrays by their names: PART_train and train_PART of each split, or PART for all rows.

    The labels are the part `y`, `labels` or alike, or `?label`; inputs are all other parts, or those of `?input`.
    Raises `UserError` where these are missing or ambiguous.
    """
    known = {name: _parse(name) for name in names if name not in (SPLIT, CLASS_NAMES)}
    in_splits = _are_split(known, options)
    if not in_splits:
        known = {name: _ArrayName(ALL, name) for name in known}
    used = {name: each for name, each in known.items() if (each.split != ALL) == in_splits}
    parts = {(each.split, each.part): name for name, each in used.items()}
    splits = list(dict.fromkeys(each.split for each in used.values()))
    every = list(dict.fromkeys(each.part for each in used.values()))
    label = _label_part(every, options, path, names)
    inputs = _input_parts(every, label, options, path, names)
    labelled = [split for split in splits if (split, label) in parts]
    _require_inputs(parts, labelled, inputs, path)
    taken = {parts[split, part] for split in labelled for part in (label, *inputs)}
    dropped = [split for split in splits if split not in labelled]
    return ArrayNames(
        {split: {part: parts[split, part] for part in inputs} for split in labelled},
        {split: parts[split, label] for split in labelled},
        SPLIT if SPLIT in names and not in_splits else None,
        tuple(name for name, each in known.items() if name not in taken and each.split not in dropped),
        tuple(dropped),
    )


def _parse(name: str) -> _ArrayName:
    """Split a name at its first or last underscore."""
    first, _, rest = name.partition("_")
    start, _, last = name.rpartition("_")
    if rest and first.lower() in SPLIT_WORDS:
        return _ArrayName(SPLIT_WORDS[first.lower()], rest)
    if start and last.lower() in SPLIT_WORDS:
        return _ArrayName(SPLIT_WORDS[last.lower()], start)
    return _ArrayName(ALL, name)


def _are_split(known: Mapping[str, _ArrayName], options: Mapping[str, str]) -> bool:
    """Return whether arrays are named by splits: some of train, or some of others where no labels are of all rows."""
    splits = {each.split for each in known.values()}
    labels = [options["label"]] if "label" in options else LABELS
    whole = any(each.split == ALL and each.part.lower() in labels for each in known.values())
    return "train" in splits or (splits != {ALL} and not whole)


def _label_part(parts: Sequence[str], options: Mapping[str, str], path: Path, names: Sequence[str]) -> str:
    found = [options["label"]] if "label" in options else [each for each in parts if each.lower() in LABELS]
    if len(found) == 1 and found[0] in parts:
        return found[0]
    what = f"{len(found)} arrays of labels, {' and '.join(found)}" if len(found) > 1 else "no array of labels"
    asked = f" {found[0]!r}" if len(found) == 1 else ""
    raise UserError(f"{str(path)!r} has {what}{asked}; name one by ?label=NAME; its arrays are {_listed(names)}")


def _input_parts(
    parts: Sequence[str], label: str, options: Mapping[str, str], path: Path, names: Sequence[str]
) -> list[str]:
    chosen = options["input"].split(",") if "input" in options else [each for each in parts if each != label]
    missing = [each for each in chosen if each not in parts or each == label]
    if missing or not chosen:
        what = f"no input {missing[0]!r}" if missing else "no array of inputs"
        raise UserError(f"{str(path)!r} has {what}; name them by ?input=NAME; its arrays are {_listed(names)}")
    return chosen


def _require_inputs(
    parts: Mapping[tuple[str, str], str], splits: Sequence[str], inputs: Sequence[str], path: Path
) -> None:
    if "train" not in splits and ALL not in splits:
        raise UserError(f"{str(path)!r} has no training arrays with labels; call them x_train and y_train")
    for split in splits:
        if lost := [part for part in inputs if (split, part) not in parts]:
            raise UserError(
                f"{str(path)!r} has no {split} array of the input {lost[0]!r}; add it, or choose inputs by ?input=NAME"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
