"""How to cite a method."""

import re

from selfdistill.method import Method, Paper


def bibtex(method: Method) -> str:
    """BibTeX of the papers that a method stands on; empty where there is none."""
    return "\n\n".join(entry(paper) for paper in method.papers)


def entry(paper: Paper) -> str:
    """One paper as BibTeX."""
    kind, place = _kind(paper.venue)
    fields = {
        "title": f"{{{paper.title}}}",
        "author": paper.authors,
        "year": paper.year,
        place: paper.venue,
        "url": paper.url,
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{_key(paper)},\n{lines}\n}}"


def _kind(venue: str) -> tuple[str, str]:
    """The entry's type, and the field that holds the venue."""
    if venue.startswith("arXiv"):
        return "misc", "note"
    return ("article", "journal") if re.search(r"\d\(\d+\)", venue) else ("inproceedings", "booktitle")


def _key(paper: Paper) -> str:
    family = paper.authors.split(",")[0]
    word = re.sub(r"\W", "", next(each for each in paper.title.split() if len(each) > 3))
    return f"{family}{paper.year}{word}".lower()
