"""A paper as a value: its terms, and what they need of the run. Methods add."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from selfdistill.errors import UserError
from selfdistill.mixing import Mixing
from selfdistill.terms import CrossEntropy, Term


@dataclass(frozen=True)
class Paper:
    """Where a method was published."""

    title: str
    authors: str  # "Family, Given and Family, Given", as BibTeX reads them
    year: int
    venue: str
    url: str


@dataclass(frozen=True)
class Method:
    """What to train with: terms, the task's loss and weight, mixing, other networks.

    `text` is what a user types to get it again; `calls` are the calls that made it with every
    argument written out.
    """

    terms: Mapping[str, Term] = field(default_factory=dict)
    task: Term | None = None  # None: cross-entropy
    task_weight: float | None = None  # None: 1
    mixing: Mixing | None = None
    networks: Mapping[str, Any] = field(default_factory=dict)  # role: a name to be resolved, or None
    text: str = ""
    calls: tuple[str, ...] = ()
    papers: tuple[Paper, ...] = ()

    def __add__(self, other: "Method") -> "Method":
        """Merge two methods; raises `UserError` with both names where their needs contradict."""
        _refuse_common_terms(self, other)
        _refuse_mixed_rows(self, other)
        _refuse_mixed_rows(other, self)
        return Method(
            terms={**self.terms, **other.terms},
            task=_either(self, other, "task"),
            task_weight=_either(self, other, "task_weight"),
            mixing=_one_mixing(self, other),
            networks=_networks(self, other),
            text=f"{self.text} + {other.text}",
            calls=tuple(dict.fromkeys((*self.calls, *other.calls))),
            papers=tuple(dict.fromkeys((*self.papers, *other.papers))),
        )

    @property
    def resolved(self) -> str:
        """The run's identity: every call with every argument, in an order that does not depend on the typing."""
        return " + ".join(sorted(self.calls))

    @property
    def all_terms(self) -> dict[str, Term]:
        """The task and the terms beside it, by name."""
        return {"task": self.task or CrossEntropy(), **self.terms}

    @property
    def weights(self) -> dict[str, float]:
        """What each term's loss is multiplied with in the total."""
        task = 1.0 if self.task_weight is None else self.task_weight
        return {"task": task, **{name: term.weight for name, term in self.terms.items()}}


def _refuse_common_terms(one: Method, other: Method) -> None:
    if clash := one.terms.keys() & other.terms.keys():
        raise UserError(f"{one.text} and {other.text} both bring the term {min(clash)!r}; a method can be added once")


def _refuse_mixed_rows(mixer: Method, reader: Method) -> None:
    parts = [*reader.terms.values(), *([reader.task] if reader.task else [])]
    if mixer.mixing and any(not term.mixed for term in parts):
        raise UserError(
            f"{mixer.text} mixes the images of each batch, and {reader.text} reads whole images with one "
            "label each; train with one of the two"
        )


def _either(one: Method, other: Method, need: str) -> Any:
    """The need of whichever method has one; two different ones cannot both be met."""
    first, second = getattr(one, need), getattr(other, need)
    if first is None or second is None:
        return second if first is None else first
    if not _same(first, second):
        raise UserError(
            f"{one.text} and {other.text} each set their own {need.replace('_', ' ')} "
            f"({_plain(first)} and {_plain(second)}); leave one out, or give both the same"
        )
    return first


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second)
    return first == second


def _plain(value: Any) -> str:
    return type(value).__name__ if isinstance(value, Term) else f"{value:g}"


def _one_mixing(one: Method, other: Method) -> Mixing | None:
    """One way to mix for both, which keeps clean images if either asks for them."""
    if one.mixing is None or other.mixing is None:
        return one.mixing or other.mixing
    clean = one.mixing.clean or other.mixing.clean
    first, second = replace(one.mixing, clean=clean), replace(other.mixing, clean=clean)
    if first != second:
        raise UserError(f"{one.text} and {other.text} mix images differently; train with one of the two")
    return first


def _networks(one: Method, other: Method) -> dict[str, Any]:
    """Who plays each role; a role that both cast must be played by one network."""
    for role in one.networks.keys() & other.networks.keys():
        first, second = one.networks[role], other.networks[role]
        if first is not None and second is not None and first != second:
            raise UserError(
                f"{one.text} and {other.text} name different networks as {role}: {first!r} and {second!r}; "
                "name the same one in both"
            )
    cast = {**one.networks, **other.networks}
    return {role: one.networks.get(role) or other.networks.get(role) for role in cast}
