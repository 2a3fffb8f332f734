"""Successive halving: the epochs at which trials are compared, and the trials that go on."""

from collections.abc import Mapping

SHARES = (1 / 4, 1 / 2, 1)  # of the epochs


def rungs(epochs: int) -> tuple[int, ...]:
    """Return the epochs after which trials are compared; the last is the whole run.

    >>> rungs(20), rungs(2)
    ((5, 10, 20), (1, 2))
    """
    return tuple(dict.fromkeys(max(1, round(epochs * share)) for share in SHARES))


def survivors(scores: Mapping[int, float], always: int) -> list[int]:
    """Return the better half of the trials, rounded up, by number; of equal ones the earlier. `always` goes on.

    K. Jamieson, A. Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, AISTATS 2016.

    >>> survivors({0: 50.0, 1: 70.0, 2: 60.0, 3: 70.0}, always=0)
    [0, 1, 3]
    """
    ranked = sorted(scores, key=lambda number: (-scores[number], number))
    best = ranked[: (len(ranked) + 1) // 2]
    return sorted({*best, always} & scores.keys())
