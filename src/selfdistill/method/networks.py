"""Roles of companion networks: frozen teacher, EMA of the student, lagged student, peer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """A network besides the student; `name` is a run or a model; None is the student's architecture."""

    name: str | None = None


@dataclass(frozen=True)
class Teacher(Role):
    """A frozen, trained network: a run's folder, or a model to train first with the method `taught_by`."""

    taught_by: str = "ce()"


@dataclass(frozen=True)
class EMATeacher(Role):
    """An EMA of the student's weights, updated after each step."""

    decay: float = 0.999


@dataclass(frozen=True)
class LaggedStudent(Role):
    """A copy of the student, or of another role, renewed every `every` steps."""

    every: int = 1  # steps between copies
    of: str = "student"


@dataclass(frozen=True)
class PeerNetwork(Role):
    """A network that trains with the student, initialized from its own seed."""


def teacher_role(name: str | None, decay: float = 0.999, every: int = 100) -> Role:
    """Return the role for an argument `teacher`: "ema", "past", or a trained network's name."""
    match name:
        case "ema":
            return EMATeacher(decay=decay)
        case "past":
            return LaggedStudent(every=every)
    return Teacher(name)
