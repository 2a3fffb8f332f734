"""Data sets of the Hugging Face Hub, through the `datasets` library."""

from typing import TYPE_CHECKING

from selfdistill.data.sources import first_line
from selfdistill.data.sources.options import split_options
from selfdistill.data.sources.parquet import OPTIONS, ParquetRows, assemble
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.errors import UserError

if TYPE_CHECKING:  # an optional library
    from datasets import Dataset, Image  # pyright: ignore[reportMissingImports]


def read(name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
    """Read `hub:ORG/NAME` or `hub:ORG/NAME?label=COLUMN`."""
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError("hub: needs one more library: pip install 'selfdistill[hub]'") from None
    path, options = split_options(argument, OPTIONS)
    try:
        splits = datasets.load_dataset(path, trust_remote_code=False)
    except Exception as error:  # of many types
        raise UserError(f"cannot load hub:{path}: {first_line(error)}; check its name and the network") from None
    return assemble(
        {split: _encoded(each, split, datasets.Image) for split, each in splits.items()},
        f"hub:{path}",
        options,
        pick,
        size,
    )


def _encoded(rows: "Dataset", split: str, image: "type[Image]") -> ParquetRows:
    """Table of a split with encoded images."""
    for column, feature in rows.features.items():
        if isinstance(feature, image):
            rows = rows.cast_column(column, image(decode=False))
    table = rows.with_format("arrow")[:]
    return ParquetRows(table, [(split, len(table))])
