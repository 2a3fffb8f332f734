"""A method as a value: its terms, and their requirements on the run. Methods combine with `+`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from selfdistill.data.cell_exchange import CellExchange
from selfdistill.data.mixing import Erasing, Mixing
from selfdistill.data.requirements import Need
from selfdistill.errors import UserError
from selfdistill.method.networks import Role, Teacher
from selfdistill.terms import CrossEntropy, LossTerm


@dataclass(frozen=True)
class Method:
    """A training method: terms, the task's loss and weight, mixing, companion networks.

    Methods are values: `+` combines them, and `teach` takes one. `text` is the expression that makes it, for `run`
    and `compare`; `calls` are its calls with every argument written out.

    >>> method = sd.methods.drg() + sd.methods.dsr()
    >>> method.text, list(method.terms)
    ('drg() + dsr()', ['guidance', 'shape'])
    """

    terms: Mapping[str, LossTerm] = field(default_factory=dict)
    task: LossTerm | None = None  # None: cross-entropy
    task_weight: float | None = None  # None: 1
    mixing: Mixing | CellExchange | None = None
    erasing: Erasing | None = None
    needs: Mapping[str, Need] = field(default_factory=dict)  # required data: peer, twin, strong, plain, last …
    networks: Mapping[str, Role] = field(default_factory=dict)  # companion networks by role
    export_role: str | None = None  # the role whose weights are exported in the student's place
    momentum_gap: float | None = None  # between the momenta of the task's gradient and of the distillation's
    control: bool = False  # distillation is dropped, its heads and passes stay
    text: str = ""
    calls: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()  # BibTeX entries

    def __add__(self, other: "Method") -> "Method":
        """Combine two methods; raise `UserError` with both names where their requirements conflict.

        >>> (sd.methods.drg(alpha=0.1) + sd.methods.mixup()).text
        'drg(alpha=0.1) + mixup()'
        """
        _refuse_common_terms(self, other)
        _refuse_mixed_rows(self, other)
        _refuse_mixed_rows(other, self)
        return Method(
            terms={**self.terms, **other.terms},
            task=_either(self, other, "task"),
            task_weight=_either(self, other, "task_weight"),
            mixing=_one_mixing(self, other),
            erasing=_either(self, other, "erasing"),
            needs=_needs(self, other),
            networks=_networks(self, other),
            export_role=_either(self, other, "export_role"),
            momentum_gap=_either(self, other, "momentum_gap"),
            control=_both_or_neither(self, other),
            text=f"{self.text} + {other.text}",
            calls=tuple(dict.fromkeys((*self.calls, *other.calls))),
            papers=tuple(dict.fromkeys((*self.papers, *other.papers))),
        )

    def as_control(self) -> "Method":
        """Return the same method without distillation, with its heads and passes.

        >>> sd.methods.drg().as_control().text
        'control(drg())'
        """
        calls = tuple(f"control({call})" for call in self.calls)
        return replace(self, control=True, text=f"control({self.text})", calls=calls)

    @property
    def teachers(self) -> tuple[str, ...]:
        """The roles of trained networks, which must be given.

        >>> sd.methods.kd().teachers
        ('teacher',)
        """
        return tuple(name for name, role in self.networks.items() if isinstance(role, Teacher))

    @property
    def has_control(self) -> bool:
        """True where the method has heads that learn the labels, or extra passes of the student.

        >>> sd.methods.drg().has_control, sd.methods.dsr().has_control
        (True, False)
        """
        passes = any(view.network == "student" for term in self.all_terms.values() for view in term.views)
        return not self.control and (passes or any(term.uses_labels for term in self.all_terms.values()))

    @property
    def resolved(self) -> str:
        """The run's identity: every call with every argument, sorted.

        >>> (sd.methods.mixup() + sd.methods.ema()).resolved
        "ema(decay=0.999) + mixup(alpha=1.0, per='batch', images=2)"
        """
        return " + ".join(sorted(self.calls))

    @property
    def all_terms(self) -> dict[str, LossTerm]:
        """The task's term and all others, by name.

        >>> list(sd.methods.drg().all_terms)
        ['task', 'guidance']
        """
        return {"task": self.task or CrossEntropy(), **self.terms}

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each term in the total loss.

        >>> (sd.methods.drg() + sd.methods.dsr(weight=2.0)).weights
        {'task': 1.0, 'guidance': 1.0, 'shape': 2.0}
        """
        task = 1.0 if self.task_weight is None else self.task_weight
        return {"task": task, **{name: term.weight for name, term in self.terms.items()}}


def _refuse_common_terms(one: Method, other: Method) -> None:
    if clash := one.terms.keys() & other.terms.keys():
        name = min(clash)
        same = type(one.terms[name]) is type(other.terms[name])
        way_out = "a method can be added once" if same else "train with one of the two"
        raise UserError(f"{one.text} and {other.text} both have the term {name!r}; {way_out}")


def _refuse_mixed_rows(mixer: Method, reader: Method) -> None:
    parts = [*reader.terms.values(), *([reader.task] if reader.task else [])]
    if mixer.mixing and any(not term.supports_mixup for term in parts):
        raise UserError(
            f"{mixer.text} mixes the images of each batch, and {reader.text} reads whole images with one "
            "label each; train with one of the two"
        )


def _either(one: Method, other: Method, need: str) -> Any:
    """Return the field of whichever method sets it; raise `UserError` for two different values."""
    first, second = getattr(one, need), getattr(other, need)
    if first is None or second is None:
        return second if first is None else first
    if not _same(first, second):
        raise UserError(
            f"{one.text} and {other.text} each set their own {need.replace('_', ' ')} "
            f"({_plain(first)} and {_plain(second)}); leave one out, or give both the same"
        )
    return first


def _same(first: object, second: object) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second)
    return bool(first == second)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return type(value).__name__ if isinstance(value, LossTerm) else str(value)


def _one_mixing(one: Method, other: Method) -> Mixing | CellExchange | None:
    """Return the common mixing, which keeps clean images if either method needs them."""
    first, second = one.mixing, other.mixing
    if first is None or second is None or first == second:
        return first or second
    if isinstance(first, Mixing) and isinstance(second, Mixing):
        clean = replace(first, clean=True)
        if clean == replace(second, clean=True):
            return clean
    raise UserError(f"{one.text} and {other.text} mix images differently; train with one of the two")


def _needs(one: Method, other: Method) -> dict[str, Need]:
    """Merge data requirements; raise `UserError` for one requirement with two settings."""
    for key in one.needs.keys() & other.needs.keys():
        if one.needs[key] != other.needs[key]:
            raise UserError(
                f"{one.text} and {other.text} each need batches of their own ({one.needs[key]} and "
                f"{other.needs[key]}); train with one of the two, or give both the same"
            )
    return {**one.needs, **other.needs}


def _both_or_neither(one: Method, other: Method) -> bool:
    if one.control != other.control:
        raise UserError(f"{one.text} + {other.text} is half a control; write control({one.text} + {other.text})")
    return one.control


def _networks(one: Method, other: Method) -> dict[str, Role]:
    """Merge roles; a role of both methods must be one network."""
    return {
        role: _one_role(role, one, other) if role in one.networks and role in other.networks else network
        for role, network in {**one.networks, **other.networks}.items()
    }


def _one_role(role: str, one: Method, other: Method) -> Role:
    first, second = one.networks[role], other.networks[role]
    named = first if first.name else second
    if replace(first, name=None) != replace(second, name=None) or (second.name or named.name) != named.name:
        raise UserError(
            f"{one.text} and {other.text} name different networks as {role}: {_called(first)} and {_called(second)}; "
            "name the same one in both"
        )
    return named


def _called(role: Role) -> str:
    return repr(role.name) if role.name else str(role)
