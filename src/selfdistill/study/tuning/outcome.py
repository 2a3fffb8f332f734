"""The outcome of tuning: the searches, and default beside tuned on seeds that no search has seen."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from selfdistill.records import TunedRecipe
from selfdistill.run_key import RunKey
from selfdistill.study.analysis.comparison import Comparison, against, corrected_by_holm, paired
from selfdistill.study.analysis.statistics import MeanStd
from selfdistill.study.study import BASELINE_METHOD, Study
from selfdistill.study.tuning.search import Search
from selfdistill.train.config import RunConfig


@dataclass(frozen=True)
class Tuned:
    """One method: its search, its rows in the final study, and the comparisons there."""

    search: Search
    default_row: str
    row: str  # the default's where the search found nothing better
    default: MeanStd | None  # score on the test set, over the fresh seeds; None if no run finished
    tuned: MeanStd | None
    gain: Comparison | None  # of tuned over default; None where they are one row
    against_baseline: Comparison | None  # of tuned over tuned cross-entropy

    @property
    def is_default(self) -> bool:
        """True if the search found nothing better than the defaults."""
        return self.row == self.default_row


@dataclass(frozen=True)
class Tuning:
    """The searches of several methods, and the study that compares default and tuned."""

    searches: Sequence[Search]
    study: Study

    @property
    def cost(self) -> str:
        """The cost of the search in words: trials, epochs and time of training."""
        trials = sum(len(each.trials) for each in self.searches)
        epochs = sum(each.epochs_trained for each in self.searches)
        minutes = sum(each.seconds for each in self.searches) / 60
        runs = epochs / self.study.base.epochs
        return f"{trials} trials, {epochs:,} epochs (as many as {runs:.1f} runs), {minutes:.1f} minutes of training"

    @property
    def methods(self) -> list[Tuned]:
        """Default beside tuned, by method; p values are corrected by Holm's method within each comparison."""
        rows = {each.space.text: (each.space.default, tuned_row(each)) for each in self.searches}
        gains = corrected_by_holm(
            {
                text: gap
                for text, (default, row) in rows.items()
                if row != default and (gap := paired(self._scores(row), self._scores(default), self.study.one_image))
            }
        )
        base = next(rows[each.space.text][1] for each in self.searches if each.space.default == BASELINE_METHOD)
        tuned = {row: self._scores(row) for _, row in rows.values()}
        over_base = against(tuned, base, self.study.one_image)
        return [
            Tuned(each, default, row, self._mean(default), self._mean(row), gains.get(text), over_base.get(row))
            for each in self.searches
            for text in [each.space.text]
            for default, row in [rows[text]]
        ]

    def command(self, search: Search) -> str:
        """Return the options that give the chosen method and recipe, ready to paste."""
        recipe = recipe_of(search, self.study.base)
        numbers = ["--lr", f"{recipe['lr']:g}", "--weight-decay", f"{recipe['weight_decay']:g}"]
        return shlex.join(["--methods", recipe["method"], *numbers])

    def _scores(self, row: str) -> dict[RunKey, float]:
        return self.study.scores(row)

    def _mean(self, row: str) -> MeanStd | None:
        found = list(self._scores(row).values())
        return MeanStd.of(found) if found else None


def recipe_of(search: Search, base: RunConfig) -> TunedRecipe:
    """Return method, learning rate and weight decay of the chosen trial."""
    assert search.best is not None
    config = search.space.config(base, search.best.values)
    return {"method": config.method, "lr": config.lr, "weight_decay": config.weight_decay}


def tuned_row(search: Search) -> str:
    """Return the row of the chosen trial: the default's, or such as "scd(weight=0.8) at lr 0.05, …"."""
    best = search.best
    assert best is not None
    if best.number == 0:
        return search.space.default
    values = best.values
    return f"{search.space.method(values)} at lr {values['lr']:g}, weight decay {values['weight_decay']:g}"
