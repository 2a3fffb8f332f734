"""Data sets of the hub, through the `datasets` library."""

import pyarrow as pa

from selfdistill.data.sources import Pick, Raw
from selfdistill.data.sources.parquet import assemble, find_columns
from selfdistill.errors import UserError


def read(name: str, argument: str, pick: Pick, size: int | None) -> Raw:
    """Read `hub:ORG/NAME` or `hub:ORG/NAME?label=COLUMN`."""
    try:
        from datasets import Image, load_dataset
    except ImportError:
        raise UserError("hub:… reads data sets of the hub and needs more: pip install 'selfdistill[hub]'") from None
    path, _, query = argument.partition("?")
    try:
        splits = load_dataset(path)
    except Exception as error:  # the library raises many kinds; all mean that it is not to be had
        raise UserError(f"cannot load hub:{path}: {str(error).splitlines()[0]}") from None
    tables = {split: _encoded(each, Image) for split, each in splits.items()}
    test = "test" if "test" in tables else "validation"
    if "train" not in tables or test not in tables:
        raise UserError(f"hub:{path} has the splits {', '.join(tables)}; it needs train, and test or validation")
    columns = find_columns(tables["train"].schema, query.removeprefix("label="), f"hub:{path}")
    validation = tables.get("validation") if test == "test" else None
    return assemble(tables["train"], validation, tables[test], columns, pick, size)


def _encoded(split, image_feature) -> pa.Table:
    """The split as a table whose images are still encoded."""
    for column, feature in split.features.items():
        if isinstance(feature, image_feature):
            split = split.cast_column(column, image_feature(decode=False))
    return split.with_format("arrow")[:]
