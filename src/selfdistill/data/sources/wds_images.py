"""Images in tar shards of WebDataset's layout, each read by its place without unpacking."""

import filecmp
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.file_paths import PackedTexts
from selfdistill.data.images import Images
from selfdistill.data.lazy import LazyImages
from selfdistill.data.row_views import Joined, Mapped, take
from selfdistill.data.sources.class_labels import UNLABELLED, LabelColumn, class_ids, class_names
from selfdistill.data.sources.class_titles import read_titles, titled
from selfdistill.data.sources.options import parse_range
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.sources.tar_index import TarIndex, Wanted, tar_index
from selfdistill.data.sources.wds_shards import split_shards
from selfdistill.data.stored_bytes import StoredBytes
from selfdistill.data.subsets import draw_test, drawn_note, require_undrawn
from selfdistill.errors import UserError


class IndexedShard(NamedTuple):
    """A shard with its index."""

    path: Path
    samples: TarIndex


def read(name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0) -> SourceData:
    """Read `wds:PATTERN`, with options such as `wds:train-{000..003}.tar?test=test-000.tar`."""
    paths, options = split_shards(argument)
    where = f"wds:{argument.partition('?')[0]}"
    held = _require_test(paths, test, where)
    wanted = Wanted(options.get("image"), options.get("label"), options.get("key"))
    shards = {split: [IndexedShard(each, tar_index(each, wanted)) for each in found] for split, found in paths.items()}
    _require_different([each for found in shards.values() for each in found])
    columns, shown = _columns(shards), parse_range(options.get("range"))
    classes = class_names(columns["train"], options.get("label", "label"), where)
    ids = {split: torch.cat([_labelled(each, classes) for each in found]) for split, found in columns.items()}
    titles = read_titles(options["names"], paths["train"][0].parent) if "names" in options else {}
    names = titled(classes, titles, where)
    kept, drawn = (torch.arange(len(ids["train"])), None) if held else draw_test(ids["train"], test)
    chosen = kept[pick(ids["train"][kept], names)]

    def images(split: str, rows: Tensor | None = None) -> Images:
        rows = torch.arange(len(ids[split])) if rows is None else rows
        files = Joined([StoredBytes(each.path, each.samples.starts, each.samples.sizes) for each in shards[split]])
        keys = Joined(
            [Mapped(partial(_shown, each.path.name), PackedTexts(each.samples.keys)) for each in shards[split]]
        )
        return Images(LazyImages(take(files, rows), take(keys, rows), size, shown=shown), ids[split][rows])

    validation = images("validation") if "validation" in shards and held != "validation" else None
    tested = images("train", drawn) if held is None else images(held)
    notes = () if drawn is None else (drawn_note(where, len(drawn), len(ids["train"]), test),)
    return SourceData(images("train", chosen), validation, tested, names, notes=notes)


def _require_test(shards: Mapping[str, object], part: TestPart, where: str) -> str | None:
    """Return the split that is the test set; None if a part of the training images is. Raises `UserError`."""
    if part:
        require_undrawn("test" in shards, where, part)
        return None
    if held := next((each for each in ("test", "validation") if each in shards), None):
        return held
    raise UserError(f"{where} has no test images; add ?test=PATTERN, or hold out a share of its images by --test 0.2")


def _require_different(shards: Sequence[IndexedShard]) -> None:
    """Raise `UserError` for two shards of the same content; only those of equal keys and sizes are read."""
    alike: dict[tuple[bytes, bytes], list[Path]] = {}
    for path, samples in shards:
        before = alike.setdefault((samples.keys.tobytes(), samples.sizes.tobytes()), [])
        if same := next((each for each in before if filecmp.cmp(each, path, shallow=False)), None):
            raise UserError(f"{str(same)!r} and {str(path)!r} have the same content; fetch one of them again")
        before.append(path)


def _columns(shards: Mapping[str, Sequence[IndexedShard]]) -> dict[str, list[LabelColumn]]:
    """Labels of the shards of each split: numbers where all are, else texts."""
    distinct = {label for each in shards.values() for shard in each for label in shard.samples.labels}
    numeric = all(_is_number(each) for each in distinct)
    return {split: [_column(shard, numeric) for shard in each] for split, each in shards.items()}


def _column(shard: IndexedShard, numeric: bool) -> LabelColumn:
    labels: list[int | str] = [int(each) if numeric else each for each in shard.samples.labels]
    return LabelColumn(shard.path.name, [labels[k] for k in shard.samples.label_of.tolist()], None)


def _labelled(column: LabelColumn, classes: Sequence[str]) -> Tensor:
    """Class ids of a shard. -> [N]. Raises `UserError` for -1, a sample without a class."""
    ids = class_ids(column, classes)
    if count := int((ids == UNLABELLED).sum()):
        raise UserError(
            f"{count} of the {len(ids)} samples of {column.table} have the class -1, no label; remove them, or leave "
            "the shard out"
        )
    return ids


def _is_number(label: str) -> bool:
    return label.removeprefix("-").isdecimal()


def _shown(shard: str, key: str) -> str:
    return f"{key} of {shard}"
