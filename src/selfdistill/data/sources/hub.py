"""Data sets of the Hugging Face Hub, through the `datasets` library."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.sources import first_line
from selfdistill.data.sources.folder_layout import SPLITS
from selfdistill.data.sources.options import split_options
from selfdistill.data.sources.parquet import OPTIONS, assemble
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.sources.table_file import TableFile
from selfdistill.errors import UserError

if TYPE_CHECKING:  # an optional library
    from datasets import Dataset, Image  # pyright: ignore[reportMissingImports]


def read(name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0) -> SourceData:
    """Read `hub:ORG/NAME`, with options such as `hub:ORG/NAME?image=COLUMN&label=COLUMN`."""
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError("hub: needs one more library: pip install 'selfdistill[hub]'") from None
    path, options = split_options(argument, OPTIONS)
    try:
        splits = datasets.load_dataset(path, trust_remote_code=False)
    except Exception as error:  # of many types
        raise UserError(f"cannot load hub:{path}: {first_line(error)}; check its name and the network") from None
    tables: dict[str, list[TableFile]] = {}
    for part, rows in splits.items():
        if split := _split(part):
            tables.setdefault(split, []).append(_table(rows, part, datasets.Image))
    _require_one_of_each(tables, path)
    data = assemble(tables, f"hub:{path}", options, pick, size, test)
    others = ", ".join(name for name in splits if not _split(name))
    note = (f"left out these splits of hub:{path}: {others}",) if others else ()
    return data._replace(notes=note + data.notes)


def _require_one_of_each(tables: Mapping[str, Sequence[TableFile]], path: str) -> None:
    for split, each in tables.items():
        if len(each) > 1:
            names = " and ".join(table.name for table in each)
            raise UserError(f"hub:{path} has {len(each)} {split} splits, {names}; take a data set with one")


def _split(name: str) -> str | None:
    """Return the split that a name stands for; None for another, such as "extra"."""
    return next((split for split, words in SPLITS.items() if name.lower() in words), None)


def _table(rows: "Dataset", split: str, image: "type[Image]") -> TableFile:
    """Table of a split with encoded images."""
    for column, feature in rows.features.items():
        if isinstance(feature, image):
            rows = rows.cast_column(column, image(decode=False))
    table = rows.with_format("arrow")[:].replace_schema_metadata(rows.features.arrow_schema.metadata)
    anywhere = Path(Path.cwd().anchor)  # the library's cache of image files
    return TableFile(split, table.schema, len(table), table.select, (anywhere,))
