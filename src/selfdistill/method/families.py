"""The methods by what a user has, with their costs, needs and evidence. Imports no torch."""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[1] / "methods" / "families.toml"


@dataclass(frozen=True)
class Profile:
    """A method's idea, and what it costs and needs."""

    name: str
    idea: str
    passes: str  # forward passes of the student + those of other networks, or without gradient
    added: str  # parameters in training, besides the student's; "0 (…)" tells a memory
    needs: str  # beyond images and labels; empty for nothing
    evidence: str  # "reference": values of published code reproduced; "oracle": plain loops; empty for a baseline


@dataclass(frozen=True)
class Family:
    """Methods for a user who has the same."""

    title: str
    lead: str  # a sentence: what the user has
    profiles: tuple[Profile, ...]


@functools.cache
def method_families() -> tuple[Family, ...]:
    """Read the families, in the order of the page of methods.

    >>> [each.title for each in method_families()][:2]
    ['Baselines', 'One network, one pass, nothing added']
    """
    families = tomllib.loads(FILE.read_text(encoding="utf-8"))["families"]
    return tuple(
        Family(each["title"], each["lead"], tuple(Profile(name, *row) for name, row in each["methods"].items()))
        for each in families
    )
