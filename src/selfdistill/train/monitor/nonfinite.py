"""Errors for non-finite losses and weights."""

from collections.abc import Iterator, Mapping
from math import isfinite

from selfdistill import distributed
from selfdistill.errors import UserError
from selfdistill.train.config import RunConfig

MAX_ROWS = 8  # rows of a batch that an error lists


def nonfinite_step(config: RunConfig, losses: Mapping[str, float], index: list[int], where: str) -> UserError:
    """Make the error for a non-finite step: the first such loss of any rank, and the images; a collective call.

    `losses` and `index` are those of this rank in the step, which `where` names.
    """
    own = next(((name, loss) for name, loss in losses.items() if not isfinite(loss)), None)
    gathered = distributed.all_gather_object((own, index))
    term = next((found for found, _ in gathered if found), None)
    rows = [row for _, index in gathered for row in index]
    what = f"the loss of the term {term[0]!r}" if term else "the gradient"
    value = term[1] if term else "infinite"
    return _error(config, f"{what} of {config.method} became {value} in {where}, on the training images {_first(rows)}")


def nonfinite_weights(config: RunConfig, where: str) -> UserError:
    """Make the error for weights that became infinite in a step with finite losses."""
    return _error(config, f"a weight or a running statistic of {config.method} became infinite before {where}")


def _error(config: RunConfig, what: str) -> UserError:
    return UserError(f"{what}; try {', '.join(_remedies(config))}. The last checkpoint is kept")


def _remedies(config: RunConfig) -> Iterator[str]:
    yield f"a lower --lr than {config.lr:g}"
    if not config.warmup:
        yield "a --warmup"
    if config.precision != "32":
        yield "--precision 32"


def _first(rows: list[int]) -> str:
    """Format the first of the rows as text."""
    return ", ".join(map(str, rows[:MAX_ROWS])) + (f" and {len(rows) - MAX_ROWS} more" if len(rows) > MAX_ROWS else "")
