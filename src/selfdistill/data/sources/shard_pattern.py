"""Patterns of shard names: ranges and choices in braces, and wildcards."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.files import glob, is_file, is_folder

BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")
WILDCARD = re.compile(r"[*\[]")
NUMBER = re.compile(r"\d+(?=\D*$)")
NAMED = 3  # files that a message names


def find_shards(pattern: str) -> list[Path]:
    """Return the files of a pattern, in order. Raises `UserError` for one that is missing, and for a folder."""
    paths = [Path(each).expanduser() for each in expand_braces(pattern)]
    found = [shard for each in paths for shard in (_matches(each) if WILDCARD.search(each.name) else [each])]
    if folder := next((each for each in found if is_folder(each)), None):
        tars = ", ".join(each.name for each in glob(folder, "*.tar")[:NAMED]) or "no *.tar"
        raise UserError(
            f"{str(folder)!r} is a folder; name its shards, as {str(folder / 'train-{000..003}.tar')!r}; it holds "
            f"{tars}"
        )
    if missing := [each for each in found if not is_file(each)]:
        names = ", ".join(map(str, missing[:NAMED])) + (", …" if missing[NAMED:] else "")
        raise UserError(
            f"{len(missing)} of the {len(found)} shards of {pattern!r} are missing: {names}; fetch them, or correct "
            "the pattern"
        )
    return found


def expand_braces(pattern: str) -> Iterator[str]:
    """Yield the texts of a pattern with ranges {000..003} and choices {a,b}. Raises `UserError` for other braces.

    >>> list(expand_braces("train-{08..10}.tar"))
    ['train-08.tar', 'train-09.tar', 'train-10.tar']
    """
    found = BRACES.search(pattern)
    if found is None:
        if "{" in pattern or "}" in pattern:
            raise UserError(f"cannot read the braces of {pattern!r}; write a range {{000..003}} or a choice {{a,b}}")
        yield pattern
        return
    for each in _choices(found[1], pattern):
        yield from expand_braces(pattern[: found.start()] + each + pattern[found.end() :])


def _choices(inside: str, pattern: str) -> list[str]:
    ends = RANGE.fullmatch(inside)
    if ends and int(ends[1]) <= int(ends[2]):
        return [f"{k:0{len(ends[1])}}" for k in range(int(ends[1]), int(ends[2]) + 1)]
    if ends or "," not in inside:
        raise UserError(
            f"cannot read {{{inside}}} of {pattern!r}; write a range {{000..003}} from the lower to the higher number, "
            "or a choice {a,b}"
        )
    return inside.split(",")


def _matches(path: Path) -> list[Path]:
    """Return the files of a wildcard, by name. Raises `UserError` without one, and for a gap in their numbers."""
    found = glob(path.parent, path.name)
    if not found:
        raise UserError(f"no file matches {str(path)!r}; correct the pattern")
    _require_no_gap(found)
    return found


def _require_no_gap(shards: Sequence[Path]) -> None:
    """Raise `UserError` where shards of one name have numbers between the lowest and the highest without a file."""
    numbers: dict[str, list[str]] = {}
    for each in shards:
        if found := NUMBER.search(each.stem):
            numbers.setdefault(each.stem[: found.start()], []).append(found[0])
    for name, texts in numbers.items():
        there = {int(each) for each in texts}
        if missing := sorted({*range(min(there), max(there))} - there):
            first = f"{name}{missing[0]:0{len(texts[0])}}"
            raise UserError(
                f"{len(missing)} shards are missing between {name}{min(texts)} and {name}{max(texts)} in "
                f"{str(shards[0].parent)!r}, such as {first}; fetch them, or list those that you want as {{a,b}}"
            )
