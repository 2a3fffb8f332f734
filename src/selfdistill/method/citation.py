"""How to cite a method."""

import re

from selfdistill.method.method import Method


def bibtex(method: Method) -> str:
    """BibTeX of the papers that a method stands on; empty where there is none."""
    return "\n\n".join(method.papers)


def field(entry: str, name: str) -> str:
    """A field of a BibTeX entry, without its braces; empty where it has none."""
    found = re.search(rf"^  {name} = {{(.*)}},?$", entry, re.M)
    return found[1].strip("{}") if found else ""
