"""Write the page of methods from the registry: `python docs/methods/page.py`."""

from collections.abc import Iterable
from pathlib import Path

from selfdistill.cli.method_source import read_method
from selfdistill.method.citation import field, first_authors
from selfdistill.method.families import Family, Profile, method_families

PAGE = Path(__file__).parent / "README.md"
COLUMNS = ("method", "idea", "paper", "forward passes", "parameters in training", "needs", "evidence")
HEAD = """# The methods

This page lists all methods by what you have, with their papers, costs and evidence. A method is an
expression, such as `"drg()"` or `"drg(alpha=0.1) + dsr()"`. Combined methods share the student's
forward pass: `scd() + lightskd() + csd()` needs one. `selfdistill plan EXPRESSION` describes the
training step: its passes, heads and memory. `selfdistill methods --cost --needs` prints these tables.

*Forward passes* are those of the student + others; a joint pass is one on more images.
"""
TAIL = """
*Reference*: the tests in `tests/reference` reproduce the losses, gradients and states of
published code in float64, most to 1e-9 relative and all to 1e-6, the precision of some stored
files. *Oracle*: no code is published; tests compare the loss with the formula as plain loops
in float64, and check properties that follow from the formula. For SCD, STKD, CSD and PALS only the
abstracts are public: each card states which parts are known and which are ours. No card claims a
paper's accuracy.

[Not offered](not-offered.md) says which systems are left out, and why.
"""


def page() -> str:
    """Return the page's text."""
    return "\n".join([HEAD, *map(_section, method_families())]) + TAIL


def _section(family: Family) -> str:
    rows = [_line(COLUMNS), "|" + "---|" * len(COLUMNS), *map(_row, family.profiles)]
    return "\n".join([f"## {family.title}", "", family.lead, "", *rows, ""])


def _row(profile: Profile) -> str:
    link, papers = f"[`{profile.name}`]({profile.name}.md)", read_method(profile.name).papers
    cited = ", ".join(_paper(each, profile.name) for each in papers)
    cells = (profile.idea, cited, profile.passes, profile.added, profile.needs, profile.evidence)
    return _line((link, *cells))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _paper(entry: str, name: str) -> str:
    return f"[{first_authors(entry) or name.upper()}, {field(entry, 'year')}]({field(entry, 'url')})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
