"""Table of a tuning: default beside tuned for each method, on fresh seeds."""

from selfdistill.report.tables.accuracy import gap_cell, mean_cell, p_cell
from selfdistill.study.analysis.comparison import Comparison
from selfdistill.study.tuning.outcome import Tuned, Tuning

BEST = "defaults were best"


def tuning_header(tuning: Tuning) -> list[str]:
    """Return the titles of the columns."""
    title = tuning.study.task.title
    compared = ["gain [95 %]", "p", "verdict", "over tuned ce()", "p", "verdict"]
    return ["method", "validation: default", "tuned", f"{title} %: default", "tuned", *compared]


def tuning_rows(tuning: Tuning) -> list[list[str]]:
    """Return a row per method."""
    return [_row(each) for each in tuning.methods]


def tuning_footer(tuning: Tuning) -> list[str]:
    """Explain the columns, and tell the cost."""
    study = tuning.study
    seeds = ", ".join(map(str, study.seeds))
    return [
        f"validation: the score in percent of the default and of the chosen trial on held-out training images, at seed "
        f"{study.base.seed}; the search saw no other images.",
        f"the other columns: mean ± standard deviation on the test set over seeds {seeds}, which the search never saw; "
        "gains in points, paired by seed; p of paired t tests, corrected by Holm's method within each column.",
        f"cost of the search: {tuning.cost}; every method had the same number of trials.",
    ]


def tuning_markdown(tuning: Tuning) -> str:
    """Return the table and the chosen options as Markdown."""
    lines = [tuning_header(tuning), ["---"] * len(tuning_header(tuning)), *tuning_rows(tuning)]
    table = "\n".join(f"| {' | '.join(each)} |" for each in lines)
    options = "\n".join(tuning.command(each) for each in tuning.searches)
    return "\n\n".join([table, *tuning_footer(tuning), f"```\n{options}\n```"]) + "\n"


def _row(tuned: Tuned) -> list[str]:
    best, default = tuned.search.best, tuned.search.trials[0]
    assert best is not None
    scores = [f"{each.score:.2f}" if each.scores else "failed" for each in (default, best)]
    means = [mean_cell(each) if each else "failed" for each in (tuned.default, tuned.tuned)]
    gain = [BEST, "", ""] if tuned.is_default else _cells(tuned.gain)
    return [tuned.row, *scores, *means, *gain, *_cells(tuned.against_baseline)]


def _cells(compared: Comparison | None) -> list[str]:
    return [gap_cell(compared), p_cell(compared), compared.verdict if compared else ""]
