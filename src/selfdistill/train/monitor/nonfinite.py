"""Errors for non-finite losses and weights."""

from collections.abc import Iterator, Mapping
from math import isfinite

from selfdistill import distributed
from selfdistill.errors import UserError
from selfdistill.train.config import RunConfig

SHOWN = 8  # rows of a batch


def nonfinite_step(config: RunConfig, losses: Mapping[str, float], index: list[int], where: str) -> UserError:
    """The error that names the term of any rank, where it happened, and the images; all ranks must call this.

    `losses` and `index` are this rank's, of the step `where` that was not sound.
    """
    own = next(((name, loss) for name, loss in losses.items() if not isfinite(loss)), None)
    told = distributed.all_gather_object((own, index))
    term = next((found for found, _ in told if found), None)
    rows = [row for _, index in told for row in index]
    what = f"the loss of the term {term[0]!r}" if term else "the gradient"
    became = term[1] if term else "infinite"
    return _error(
        config, f"{what} of {config.method} became {became} in {where}, on the training images {_first(rows)}"
    )


def nonfinite_weights(config: RunConfig, where: str) -> UserError:
    """The error for weights that a last good step has made infinite."""
    return _error(config, f"a weight or a running statistic of {config.method} became infinite before {where}")


def _error(config: RunConfig, what: str) -> UserError:
    return UserError(f"{what}; try {', '.join(_remedies(config))}. What was saved before is as it was")


def _remedies(config: RunConfig) -> Iterator[str]:
    yield f"a lower --lr than {config.lr:g}"
    if not config.warmup:
        yield "a --warmup"
    if config.precision != "32":
        yield "--precision 32"


def _first(rows: list[int]) -> str:
    """The first of the numbers in words."""
    return ", ".join(map(str, rows[:SHOWN])) + (f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")
