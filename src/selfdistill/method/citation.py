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
