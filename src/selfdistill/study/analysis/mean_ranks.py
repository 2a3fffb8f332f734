"""Mean ranks of methods over several studies: Friedman's test and Nemenyi's critical difference.

Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, 2006
(https://jmlr.org/papers/v7/demsar06a.html), sections 3.2.2 and 3.2.3.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from selfdistill.study.analysis.statistics import LEVEL
from selfdistill.study.analysis.summary import summaries
from selfdistill.study.study import Study

FEWEST = 3  # methods and studies: with fewer no test of ranks can reject anything


@dataclass(frozen=True)
class MeanRanks:
    """Mean rank of each method over studies, the best first; rank 1 is the highest score, and ties share ranks."""

    ranks: Mapping[str, float]
    studies: int
    p: float  # of Friedman's test: all methods have one rank
    critical: float  # smallest difference of two mean ranks that Nemenyi's test at 5 % takes for one

    @classmethod
    def of(cls, scores: Mapping[str, Sequence[float]]) -> "MeanRanks":
        """Rank methods by their scores, one for each study. Raises `ValueError` for fewer than three of either."""
        values = np.array([*scores.values()], dtype=float)  # [methods, studies]
        if min(values.shape) < FEWEST:
            raise ValueError(f"ranks need {FEWEST} methods and studies, but there are {values.shape}")
        ranks = stats.rankdata(-values, axis=0).mean(axis=1)
        order = sorted(zip(scores, ranks.tolist(), strict=True), key=lambda each: each[1])
        return cls(dict(order), values.shape[1], _friedman(values), critical_difference(*values.shape))

    @property
    def groups(self) -> list[tuple[str, str]]:
        """The first and the last method of each longest row of methods that Nemenyi's test does not tell apart."""
        names = [*self.ranks]
        found: list[tuple[int, int]] = []
        for start, first in enumerate(names):
            last = max(k for k, name in enumerate(names) if self.ranks[name] - self.ranks[first] <= self.critical)
            if last > start and (not found or last > found[-1][1]):
                found.append((start, last))
        return [(names[start], names[last]) for start, last in found]


def critical_difference(methods: int, studies: int) -> float:
    """Return Nemenyi's critical difference of mean ranks at 5 %.

    >>> from selfdistill.study.analysis.mean_ranks import critical_difference
    >>> round(critical_difference(methods=4, studies=14), 2)
    1.25
    """
    q = float(stats.studentized_range.isf(LEVEL, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * studies))


def rank_studies(studies: Sequence[Study]) -> MeanRanks | None:
    """Rank the methods that all studies have finished, by mean scores; None for fewer than three of either."""
    found = [{each.method: each.score.mean for each in summaries(study)} for study in studies]
    common = [name for name in found[0] if all(name in each for each in found)] if found else []
    if min(len(common), len(studies)) < FEWEST:
        return None
    return MeanRanks.of({name: [each[name] for each in found] for name in common})


def _friedman(values: np.ndarray) -> float:
    """Return the p value of Friedman's test [methods, studies]; 1 where all scores of each study are equal."""
    return float(stats.friedmanchisquare(*values).pvalue) if np.ptp(values, axis=0).any() else 1.0
