"""A trial of a search: values, and the scores on the validation images at the epochs that it has reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Trial:
    """One trial; number 0 has the method's defaults."""

    number: int
    values: Mapping[str, float]  # by dimension
    scores: Mapping[int, float] = field(default_factory=dict)  # in percent, by epoch, at the rungs it has reached
    error: str | None = None  # the reason of a failed trial
    seconds: float = 0.0  # of training

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return max(self.scores, default=0)

    @property
    def score(self) -> float:
        """The score at the last rung; a trial without scores has minus infinity."""
        return self.scores[self.epochs] if self.scores else float("-inf")


def best_trial(trials: Sequence[Trial], epochs: int) -> Trial | None:
    """Return the best of the trials with all epochs; of equal ones the earliest, so that the default wins a tie.

    >>> best_trial([Trial(0, {}, {5: 80.0}), Trial(1, {}, {2: 90.0}), Trial(2, {}, {5: 80.0})], 5).number
    0
    """
    whole = [each for each in trials if each.epochs == epochs and each.error is None]
    return max(whole, key=lambda each: (each.score, -each.number), default=None)
