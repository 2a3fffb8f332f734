"""BibTeX entries of a method's papers. Imports no torch."""

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfdistill.method.method import Method


@functools.cache
def read_entries(file: Path) -> tuple[str, ...]:
    """Return the entries of a BibTeX file; empty if it does not exist."""
    if not file.is_file():
        return ()
    return tuple(each.strip() for each in re.split(r"\n(?=@)", file.read_text()) if each.strip())


def bibtex(method: "Method") -> str:
    """Return the BibTeX of a method's papers; empty where it has none.

    >>> from selfdistill.methods import drg
    >>> bibtex(drg()).startswith("@")
    True
    """
    return "\n\n".join(method.papers)


def field(entry: str, name: str) -> str:
    """Return a field of a BibTeX entry without its braces; empty where the entry lacks it.

    >>> from selfdistill.methods import drg
    >>> field(drg().papers[0], "year")
    '2023'
    """
    found = re.search(rf"^  {name} = {{(.*)}},?$", entry, re.M)
    return found[1].strip("{}") if found else ""


def first_authors(entry: str) -> str:
    """Return the surnames of one author, of two, or of the first of several; empty without any.

    >>> from selfdistill.methods import drg
    >>> first_authors(drg().papers[0])
    'Wang et al.'
    """
    surnames = [each.split(",")[0].strip() for each in field(entry, "author").split(" and ")]
    return " and ".join(surnames) if len(surnames) < 3 else f"{surnames[0]} et al."
