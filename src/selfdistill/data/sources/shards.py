"""Parquet files of each split, found by name: complete sets of shards without duplicates."""

import filecmp
import os
import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from selfdistill.data.sources.folder_layout import SPLITS
from selfdistill.data.sources.image_files import left_out_note
from selfdistill.errors import UserError
from selfdistill.files import glob, is_file, is_folder

SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}
NAME = re.compile(r"([a-z]*?)(?:[-_.]?(\d+)(?:-of-(\d+))?)?(?:-[0-9a-f]{16})?")  # train-00000-of-00002[-HASH]
NUMBERED = 10_000  # larger numbers are dates, for example


class Shard(NamedTuple):
    """A file of a split, with its number and the number of files from its name."""

    path: Path
    word: str  # for the split
    number: int | None
    total: int | None


class SplitFiles(NamedTuple):
    """Files of each split in the order of their numbers, and a sentence on the files that were left out."""

    splits: dict[str, list[Path]]
    notes: tuple[str, ...]


def find_splits(folder: Path, alone: bool = False) -> SplitFiles:
    """Find the files of a folder, of its subfolder `data` and of subfolders named like splits; `alone` is training's.

    Raises `UserError` for a missing split, a missing or doubled shard, and shards of several sets.
    """
    if not is_folder(folder):
        file = f"{str(folder)!r} is a file; pass its folder:" if is_file(folder) else ""
        missing = file or f"there is no folder {str(folder)!r};"
        raise UserError(f"{missing} parquet:PATH holds train-*.parquet and test-*.parquet")
    there = [each for pattern in ("*.parquet", "*/*.parquet") for each in glob(folder, pattern) if is_file(each)]
    shards = [shard for each in there if (shard := _shard(each, folder))]
    found = {split: [each for each in shards if SPLIT_OF[each.word] == split] for split in SPLITS}
    if not found["train"] or not (alone or found["test"] + found["validation"]):
        raise UserError(_nothing_found(folder))
    splits = {split: _whole(each, folder) for split, each in found.items() if each}
    note = left_out_note(folder, [each for each in there if not _shard(each, folder)], "belong to no split")
    return SplitFiles(splits, (note,) if note else ())


def _shard(path: Path, folder: Path) -> Shard | None:
    """Read a file's name, and that of its folder; None if it belongs to no split."""
    name, place = NAME.fullmatch(path.stem.lower()), path.parent.name.lower()
    inner = path.parent != folder
    word = place if inner and place in SPLIT_OF else name[1] if name else ""
    if name is None or word not in SPLIT_OF or (inner and place not in ("data", *SPLIT_OF)):
        return None
    return Shard(path, word, *(int(each) if each else None for each in (name[2], name[3])))


def _nothing_found(folder: Path) -> str:
    there = sorted(each.relative_to(folder) for each in folder.rglob("*.parquet"))
    names = ", ".join(map(str, there[:5])) or "no *.parquet"
    inner = sorted({str(folder / each.parts[0]) for each in there if len(each.parts) > 1})
    hint = f"; a data set of several parts has each in its own folder, such as parquet:{inner[0]}" if inner else ""
    return (
        f"{str(folder)!r} needs train-*.parquet, and test-*.parquet or validation-*.parquet (or a folder "
        f"data with them); it holds {names}{hint}"
    )


def _whole(shards: Sequence[Shard], folder: Path) -> list[Path]:
    """Sort the files of a split. Raises `UserError` unless they are one whole set."""
    each = _without_links(shards)
    _require_one_set(each, folder)
    _require_no_double(each, folder)
    _require_no_gap(each, folder)
    return [shard.path for shard in sorted(each, key=lambda shard: shard.number or 0)]


def _without_links(shards: Sequence[Shard]) -> list[Shard]:
    """Drop links to files that are already listed."""
    return list({os.path.realpath(each.path): each for each in reversed(shards)}.values())[::-1]


def _require_one_set(shards: Sequence[Shard], folder: Path) -> None:
    """Raise `UserError` for files of two sets: val and valid, -of-00002 and -of-00003, with and without numbers."""
    first, *others = shards
    for each in others:
        if (each.word, each.total, each.number is None) != (first.word, first.total, first.number is None):
            raise UserError(
                f"{_names(folder, first, each)} are parts of two sets of files for one split; move one set away"
            )


def _require_no_double(shards: Sequence[Shard], folder: Path) -> None:
    sizes = {each.path: each.path.stat().st_size for each in shards}
    for one, other in combinations(shards, 2):
        if one.number == other.number:
            raise UserError(f"{_names(folder, one, other)} are the same part of the data; move one of them away")
        if sizes[one.path] == sizes[other.path] and filecmp.cmp(one.path, other.path, shallow=False):
            raise UserError(f"{_names(folder, one, other)} have the same content; fetch one of them again")


def _require_no_gap(shards: Sequence[Shard], folder: Path) -> None:
    """Raise `UserError` for numbers below the count, or between the lowest and the highest, without a file."""
    numbers = sorted(each.number for each in shards if each.number is not None)
    if not numbers or (shards[0].total is None and numbers[-1] > NUMBERED):
        return
    first = min(numbers[0], 1) if shards[0].total is None or numbers[-1] == shards[0].total else 0
    after = numbers[-1] + 1 if shards[0].total is None else shards[0].total + first
    if missing := sorted(set(range(first, after)) - set(numbers)):
        names = ", ".join(_numbered(shards[0].path, each) for each in missing[:5]) + (", …" if missing[5:] else "")
        raise UserError(
            f"{len(missing)} of {after - first} files of the {shards[0].word} split are missing from {str(folder)!r}: "
            f"{names}; fetch them"
        )
    if extra := sorted(set(numbers) - set(range(first, after))):
        names = ", ".join(_numbered(shards[0].path, each) for each in extra)
        raise UserError(
            f"{names} in {str(folder)!r} is numbered beyond the {after - first} files of its set; remove it"
        )


def _numbered(path: Path, number: int) -> str:
    """Name of the file that would be part `number` of the same set."""
    name = re.sub(r"-[0-9a-f]{16}$", "", path.stem)
    return re.sub(r"\d+(?=-of-|$)", lambda old: f"{number:0{len(old[0])}}", name, count=1) + path.suffix


def _names(folder: Path, *shards: Shard) -> str:
    return " and ".join(str(each.path.relative_to(folder)) for each in shards)
