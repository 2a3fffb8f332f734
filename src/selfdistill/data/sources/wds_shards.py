"""Shards that a specification `wds:PATTERN` names, split by split, and its options."""

from pathlib import Path

from selfdistill.data.sources.options import split_options
from selfdistill.data.sources.shard_pattern import find_shards
from selfdistill.errors import UserError
from selfdistill.task import CLASSIFY, TaskName

OPTIONS = {
    "test": "PATTERN",
    "val": "PATTERN",
    "image": "EXTENSION",
    "label": "EXTENSION",
    "key": "NAME",
    "names": "FILE",
    "range": "BLACK..WHITE",
}
SPLITS = {"validation": "val", "test": "test"}  # options by split


def task(argument: str) -> TaskName:
    """Task of `wds:PATTERN`: one class for each image."""
    split_options(argument, OPTIONS)
    return CLASSIFY


def files(argument: str) -> list[Path]:
    """Return the shards of all splits."""
    return [shard for each in split_shards(argument)[0].values() for shard in each]


def split_shards(argument: str) -> tuple[dict[str, list[Path]], dict[str, str]]:
    """Return the shards of each split, and the options; a pattern without a folder is in that of the first.

    Raises `UserError` for a missing shard, and for one that is named twice.
    """
    pattern, options = split_options(argument, OPTIONS)
    folder = Path(pattern).parent
    patterns = {split: options[key] for split, key in SPLITS.items() if key in options}
    beside = {split: each if "/" in each else str(folder / each) for split, each in patterns.items()}
    shards = {split: find_shards(each) for split, each in {"train": pattern, **beside}.items()}
    named: dict[Path, str] = {}
    for split, each in shards.items():
        for shard in each:
            if (before := named.setdefault(shard.resolve(), split)) != split or each.count(shard) > 1:
                raise UserError(
                    f"{str(shard)!r} is named twice, for {before} and {split}; correct the patterns, so that no image "
                    "is read twice"
                )
    return shards, options
