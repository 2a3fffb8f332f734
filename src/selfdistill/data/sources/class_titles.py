"""Names of classes that stand beside the data: a JSON object of names by class, or two columns of a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from selfdistill.data.sources.csv_table import read_csv
from selfdistill.errors import UserError
from selfdistill.files import is_file, read_json

USUAL = "cat_to_name.json"  # beside class folders of numbers


def read_titles(option: str, folder: Path) -> dict[str, str]:
    """Read `FILE` or `FILE,CLASS COLUMN,NAME COLUMN`, which may begin in a folder. -> names by class.

    Raises `UserError` for a file that is missing or has other columns, and for a class with two names.
    """
    name, *columns = option.rsplit(",", 2)
    path = next((each for each in (folder / name, Path(name).expanduser()) if is_file(each)), None)
    if path is None:
        raise UserError(f"there is no file {name!r} in {str(folder)!r}; ?names=FILE names the classes")
    return _from_json(path, columns) if path.suffix.lower() == ".json" else _from_table(path, columns)


def usual_titles(folder: Path) -> dict[str, str]:
    """Read cat_to_name.json of a folder; empty without one."""
    path = folder / USUAL
    return _from_json(path, ()) if is_file(path) else {}


def titled(classes: Sequence[str], titles: Mapping[str, str], where: str) -> tuple[str, ...]:
    """Return the names of classes; one that two classes share is followed by the class in brackets.

    Raises `UserError` for a class without a name.

    >>> titled(["1", "2"], {"1": "rose", "2": "rose"}, "flowers")
    ('rose (1)', 'rose (2)')
    """
    if not titles:
        return tuple(classes)
    if missing := [each for each in classes if each not in titles]:
        raise UserError(
            f"the class {missing[0]!r} of {where} has no name in the file of names, which has those of "
            f"{', '.join([*titles][:3])}, …; add it, or leave the file out"
        )
    names = [titles[each] for each in classes]
    return tuple(
        f"{name} ({each})" if names.count(name) > 1 else name for name, each in zip(names, classes, strict=True)
    )


def _from_json(path: Path, columns: Sequence[str]) -> dict[str, str]:
    found = read_json(path)
    wrong = next((key for key, name in found.items() if not isinstance(name, str)), None)
    if columns or wrong is not None:
        what = f"{found[wrong]!r} for {wrong!r}" if wrong is not None else "no columns"
        raise UserError(f'{str(path)!r} has {what}; class names in JSON are an object such as {{"1": "rose"}}')
    return found


def _from_table(path: Path, columns: Sequence[str]) -> dict[str, str]:
    table = read_csv(path)
    if not columns and len(table.header) != 2:
        raise UserError(
            f"{str(path)!r} has the columns {', '.join(table.header)}; name those of classes and names by "
            f"?names={path.name},COLUMN,COLUMN"
        )
    if len(columns) == 1:
        raise UserError(f"?names={path.name},{columns[0]} names one column; write ?names=FILE,CLASS COLUMN,NAME COLUMN")
    keys, names = (table.column(each.strip()) for each in columns or table.header)
    found: dict[str, str] = {}
    for row, (key, name) in enumerate(zip(keys, names, strict=True)):
        if found.setdefault(key.strip(), name.strip()) != name.strip():
            raise UserError(f"{table.at(row)} calls the class {key!r} {name!r}, a line before {found[key.strip()]!r}")
    return found
