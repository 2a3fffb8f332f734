"""The test part of data that have none: a share of their rows, or a fold of cross-validation."""

from typing import NamedTuple, TypeAlias


class Fold(NamedTuple):
    """One of several parts of the rows, of about equal size, as the test set.

    >>> str(Fold(0, 5))
    'fold 0 of 5'
    """

    fold: int  # from 0
    folds: int  # at least 2

    def __str__(self) -> str:
        return f"fold {self.fold} of {self.folds}"


TestPart: TypeAlias = float | Fold  # a share of the rows, 0 for none, or a fold


def option_of(part: TestPart) -> str:
    """Return the option that asks for a test part.

    >>> option_of(0.2), option_of(Fold(0, 5))
    ('--test', '--folds')
    """
    return "--folds" if isinstance(part, Fold) else "--test"


def as_typed(part: TestPart) -> str:
    """Return the option that asks for a test part, with its value.

    >>> as_typed(0.2), as_typed(Fold(0, 5))
    ('--test 0.2', '--folds 5')
    """
    return f"{option_of(part)} {part.folds if isinstance(part, Fold) else part:g}"


def sameness(part: TestPart) -> str:
    """Return in which runs a test part is the same.

    >>> sameness(0.2), sameness(Fold(0, 5))
    ('the same in every run', 'fold 0 of 5')
    """
    return str(part) if isinstance(part, Fold) else "the same in every run"
