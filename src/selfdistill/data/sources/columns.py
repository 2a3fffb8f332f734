"""Choice of the image and label columns of a table, by option, name, type and metadata."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from selfdistill.data.sources.table_file import TableFile
from selfdistill.errors import UserError

IMAGES = ("image", "img")
LABELS = ("fine_label", "label", "labels")  # the first, in a data set with two levels of classes


class Columns(NamedTuple):
    """Names of the image and label columns."""

    image: str
    label: str


def choose_columns(table: TableFile, options: Mapping[str, str], where: str) -> Columns:
    """Choose the image and label columns; the options "image" and "label" name others.

    Raises `UserError` with all names if no column fits, or more than one.
    """
    image = options.get("image") or _image_column(table, where)
    return Columns(image, options.get("label") or _label_column(table, where))


def require_image_column(table: TableFile, columns: Columns, where: str) -> None:
    """Raise `UserError` unless a table has the image column, with encoded images or paths."""
    if columns.image not in table.schema.names:
        raise UserError(missing_column(table, columns, where))
    kind = table.schema.field(columns.image).type
    if not holds_images(kind) and not holds_paths(kind):
        raise UserError(
            f"the column {columns.image!r} of {table.name} is {_short(kind)}, but images are bytes of a file (PNG, "
            "JPEG …), a struct with them, or paths; name another column by ?image=COLUMN"
        )


def missing_column(table: TableFile, columns: Columns, where: str) -> str:
    """Message for a table without the image or label column."""
    return (
        f"{where} has no columns {columns.image!r} and {columns.label!r} in {table.name}, but "
        f"{', '.join(table.schema.names)}; name them by ?image=COLUMN&label=COLUMN"
    )


def holds_images(kind: pa.DataType) -> bool:
    """Return True for types of encoded images: bytes, and structs with bytes."""
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(is_kind(kind) for is_kind in kinds)


def holds_paths(kind: pa.DataType) -> bool:
    """Return True for types of text, and structs with a path alone."""
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("path") >= 0)
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _image_column(table: TableFile, where: str) -> str:
    """The column `image` or `img`, the only one of a type for images, or the only one that metadata call an image."""
    holding = [each.name for each in table.schema if holds_images(each.type) and each.name not in LABELS]
    marked = [each for each in holding if table.features.get(each, {}).get("_type") == "Image"]
    named = [each for each in table.schema.names if each.lower() in IMAGES]
    for found in (named, marked or holding):
        if len(found) == 1:
            return str(found[0])
    if not holding:
        there = ", ".join(table.schema.names)
        raise UserError(
            f"no column of {where} holds images (a struct with bytes); it has {there}; a column of paths is named by "
            "?image=COLUMN"
        )
    raise UserError(_ambiguous("image", named or marked or holding, where))


def _label_column(table: TableFile, where: str) -> str:
    """The column `fine_label`, `label` or `labels`, or the only one that metadata call a class label."""
    named = [each for each in LABELS if each in table.schema.names]
    marked = [name for name, each in table.features.items() if each.get("_type") == "ClassLabel"]
    if named[:2] == list(LABELS[1:]) or (not named and len(marked) > 1):
        raise UserError(_ambiguous("label", named or marked, where))
    return (named or marked or [LABELS[1]])[0]


def _ambiguous(what: str, names: Sequence[str], where: str) -> str:
    return (
        f"{where} has {len(names)} columns that may hold the {what}s: {', '.join(names)}; name one by ?{what}=COLUMN, "
        f"such as ?{what}={names[0]}"
    )


def _short(kind: pa.DataType) -> str:
    return str(kind) if len(str(kind)) < 40 else f"{str(kind)[:40]}…"
