"""Data sets of the hub, through the `datasets` library."""

from typing import Any

from selfdistill.data.sources import Pick, Raw, first_line
from selfdistill.data.sources.parquet import ParquetRows, assemble, parsed
from selfdistill.errors import UserError


def read(name: str, argument: str, pick: Pick, size: int | None) -> Raw:
    """Read `hub:ORG/NAME` or `hub:ORG/NAME?label=COLUMN`."""
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError("hub: needs one more library: pip install 'selfdistill[hub]'") from None
    path, label = parsed(argument)
    try:
        splits = datasets.load_dataset(path)
    except Exception as error:  # it raises many kinds; all mean that the data set is not to be had
        raise UserError(f"cannot load hub:{path}: {first_line(error)}; check its name and the network") from None
    return assemble(
        {split: _encoded(each, split, datasets.Image) for split, each in splits.items()},
        f"hub:{path}",
        label,
        pick,
        size,
    )


def _encoded(rows: Any, split: str, image: Any) -> ParquetRows:
    """A split as a table whose images are still encoded."""
    for column, feature in rows.features.items():
        if isinstance(feature, image):
            rows = rows.cast_column(column, image(decode=False))
    table = rows.with_format("arrow")[:]
    return ParquetRows(table, [(split, len(table))])
