"""Class labels of tables, matched by name across files: numbers that a schema names, texts, or plain numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import torch
from torch import Tensor

from selfdistill.data.sources.table_file import TableFile
from selfdistill.errors import UserError

UNLABELLED = -1
UNSIGNED = {2**bits - 1 for bits in (8, 16, 32, 64)}  # -1 as an unsigned integer
SHOWN = 5  # classes that a message lists

Label = int | str | None  # as stored in the table; None if missing
TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)


class LabelColumn(NamedTuple):
    """Labels of a table, and the names that its schema gives to numbers."""

    table: str
    labels: list[Label]
    names: tuple[str, ...] | None

    @property
    def distinct(self) -> list[Label]:
        """Labels without repetition, in the order of their first rows."""
        return list(dict.fromkeys(self.labels))

    @property
    def texts(self) -> set[str]:
        """Labels that are texts."""
        return {each for each in self.distinct if isinstance(each, str)}

    @property
    def is_plain(self) -> bool:
        """True for labels that are numbers without names."""
        return not self.names and any(isinstance(each, int) and each >= 0 for each in self.distinct)

    def describe(self, label: Label) -> str:
        """Label with its first row, in messages."""
        shown = "missing" if label is None else repr(label)
        return f"the label in row {self.labels.index(label)} of {self.table} is {shown}"


def read_labels(table: TableFile, column: str) -> LabelColumn:
    """Read the labels of a table; without the column all are None. Raises `UserError` for labels of another kind."""
    if column not in table.schema.names:
        return LabelColumn(table.name, [None] * table.rows, None)
    cells = table.column(column)
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    labels, names = cells.to_pylist(), _schema_names(table, column)
    if pa.types.is_boolean(cells.type):
        labels, names = [None if each is None else int(each) for each in labels], names or ("False", "True")
    elif pa.types.is_floating(cells.type):
        labels = [_whole(each, row, table.name) for row, each in enumerate(labels)]
    elif any(is_text(cells.type) for is_text in TEXTS):
        labels = [each or None for each in labels]
    elif not pa.types.is_integer(cells.type) and not pa.types.is_null(cells.type):
        raise UserError(
            f"labels must be whole numbers or names, one for each image, but {column!r} of {table.name} is "
            f"{cells.type}; name another column by ?label=COLUMN"
        )
    numbers = [each for each in labels if isinstance(each, int) and each not in UNSIGNED]
    if (highest := max(numbers, default=0)) >= 2**63:
        raise UserError(f"{column!r} of {table.name} goes up to {highest}, no class; name another by ?label=COLUMN")
    return LabelColumn(table.name, labels, names)


def require_comparable(columns: Sequence[LabelColumn]) -> None:
    """Raise `UserError` for plain numbers beside texts, or beside schemas that number the classes differently."""
    lists = {each.names for each in columns if each.names}
    texts = [each for each in columns if each.texts]
    plain = [each for each in columns if each.is_plain]
    if plain and (texts or len(lists) > 1):
        other = next(each for each in columns if each.names or each.texts)
        raise UserError(
            f"the labels of {plain[0].table} are numbers without class names, but other files name their classes "
            f"({other.table}: {_list(other.names or sorted(other.texts))}) and do not number them alike; write all "
            "files with the names"
        )


def class_names(train: Sequence[LabelColumn], column: str, where: str) -> tuple[str, ...]:
    """Class names of the training files: those of their schemas, the sorted texts, or the numbers up to the highest.

    Raises `UserError` for numbers that are no class ids, and for a name that two classes share.
    """
    lists = dict.fromkeys(each.names for each in train if each.names)
    texts = set[str]().union(*(each.texts for each in train))
    if len(lists) == 1 and not texts:
        return next(iter(lists))
    for names in lists:
        _require_distinct(names, where)
    named = dict.fromkeys(name for names in lists for name in names)
    if texts:
        return tuple(named) if texts <= named.keys() else tuple(sorted(texts, key=natural_order))
    return tuple(named) or _numbered(train, column, where)


def class_ids(column: LabelColumn, classes: Sequence[str]) -> Tensor:
    """Class ids of a table's rows, by the names of classes where it has names; -1 where there is no label. -> [N].

    Raises `UserError` for a number out of range, and for a class that the training files do not have.
    """
    places = {name: k for k, name in enumerate(classes)}
    ids = {each: _class_id(each, column, classes, places) for each in column.distinct}
    return torch.tensor([ids[each] for each in column.labels], dtype=torch.long)


def is_unlabelled(columns: Sequence[LabelColumn], classes: Sequence[str]) -> bool:
    """Return whether no row of a split has a label, as the test images of competitions."""
    return all(_is_missing(label, len(each.names or classes)) for each in columns for label in each.distinct)


def _is_missing(label: Label, classes: int) -> bool:
    return label is None or label == UNLABELLED or (label in UNSIGNED and int(label) >= classes)


def _class_id(label: Label, column: LabelColumn, classes: Sequence[str], places: Mapping[str, int]) -> int:
    names = column.names or tuple(classes)
    if _is_missing(label, len(names)):
        return UNLABELLED
    if isinstance(label, int) and not 0 <= label < len(names):
        raise UserError(
            f"{column.describe(label)}, but there are {len(names)} classes, 0 to {len(names) - 1}; fix the label or "
            "the class names"
        )
    if isinstance(label, int) and names == tuple(classes):
        return label  # names may be doubled
    name = names[label] if isinstance(label, int) else str(label)
    if name not in places:
        raise UserError(
            f"{column.describe(label)}, the class {name!r}, which the training files do not have; "
            f"{column.table} has {_list(column.names or sorted(column.texts))}, they have {_list(classes)}"
        )
    return places[name]


def _schema_names(table: TableFile, column: str) -> tuple[str, ...] | None:
    """Class names from the metadata: a list, or a dict by number."""
    names = table.features.get(column, {}).get("names")
    if isinstance(names, Mapping):
        names = [names[key] for key in sorted(names, key=natural_order)]
    return tuple(str(each) for each in names) if isinstance(names, list) and names else None


def _whole(label: Any, row: int, table: str) -> int | None:
    """Convert a float to a whole number; None for NaN, a missing value."""
    if label is None or label != label:
        return None
    if not label.is_integer():
        raise UserError(
            f"the label in row {row} of {table} is {label}, but classes are whole numbers or names; name another "
            "column by ?label=COLUMN"
        )
    return int(label)


def _numbered(train: Sequence[LabelColumn], column: str, where: str) -> tuple[str, ...]:
    """Numbers as class names; rejects labels that are too large to be class ids, and those that begin above 0."""
    numbers = [each for part in train for each in part.distinct if isinstance(each, int) and each >= 0]
    lowest, highest = min(numbers, default=0), max(numbers, default=UNLABELLED)
    rows = sum(len(each.labels) for each in train)
    if highest >= rows:
        raise UserError(
            f"{column!r} of {where} goes up to {highest} in {rows} rows, so it holds "
            "no class ids; name another column by ?label=COLUMN"
        )
    if lowest:
        raise UserError(
            f"{column!r} of {where} goes from {lowest} to {highest}, but class ids begin with 0; subtract {lowest}, or "
            "write the labels as texts"
        )
    return tuple(str(k) for k in range(highest + 1))


def _require_distinct(names: Sequence[str], where: str) -> None:
    if doubled := [each for k, each in enumerate(names) if each in names[:k]]:
        raise UserError(
            f"two classes of {where} are called {doubled[0]!r}, and its files number the classes differently, so they "
            "cannot be told apart; give each class its own name"
        )


def natural_order(text: str) -> tuple[bool, int, str]:
    """Sort numbers by value, before texts."""
    return (False, int(text), text) if text.isdecimal() else (True, 0, text)


def _list(names: Sequence[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
