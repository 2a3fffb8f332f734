"""Who plays beside the student: a frozen teacher, an average of its weights, its past, a peer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """A network beside the student. `name` is what a run finds it by; None is the student's architecture."""

    name: str | None = None


@dataclass(frozen=True)
class Teacher(Role):
    """Trained before, and frozen: a run's folder, or a model to be trained first with this method."""

    taught_by: str = "ce()"


@dataclass(frozen=True)
class EMATeacher(Role):
    """An exponential average of the student's weights, followed after each step."""

    decay: float = 0.999


@dataclass(frozen=True)
class LaggedStudent(Role):
    """The student, or another role, as it was up to so many steps ago."""

    every: int = 1  # steps between copies
    of: str = "student"


@dataclass(frozen=True)
class PeerNetwork(Role):
    """A network that trains beside the student, drawn from a seed of its own."""


def teacher_role(name: str | None, decay: float = 0.999, every: int = 100) -> Role:
    """The role that an argument `teacher` means: "ema", "past", or what was trained before."""
    match name:
        case "ema":
            return EMATeacher(decay=decay)
        case "past":
            return LaggedStudent(every=every)
    return Teacher(name)
