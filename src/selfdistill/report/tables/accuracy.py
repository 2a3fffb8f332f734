"""Accuracy table of a study: a narrow one for the terminal, and the full table in Markdown."""

from collections.abc import Callable, Sequence

from selfdistill.files import one_line
from selfdistill.study.analysis.comparison import Comparison
from selfdistill.study.analysis.statistics import MOST_SEEDS, MeanStd
from selfdistill.study.analysis.summary import Summary, summaries
from selfdistill.study.study import Study
from selfdistill.task import CLASSIFY, Task

SEEDS_NEEDED = (
    "seeds needed: number of seeds at which a paired t-test finds this difference with a power of 80 %, at both ends "
    "of the 95 % interval of the standard deviation. "
)
ONE_IMAGE = " The standard deviation of differences is taken as one test image or more."
UNTESTED = "untested: all differences are equal, so no test is possible."
UNTESTED_IMAGES = (
    "untested: all differences are equal and the number of test images is unknown, so no test is possible; re-run the "
    "compare command, which records it."
)
Column = tuple[str, Callable[[Summary], str]]


def header(study: Study) -> tuple[str, ...]:
    """Return the column names of the terminal's table."""
    return tuple(name for name, _ in _narrow(study))


def rows(study: Study) -> list[tuple[str, ...]]:
    """Return the cells of the terminal's table: one row per method with a finished run."""
    return _cells(_narrow(study), summaries(study))


def footer(study: Study) -> list[str]:
    """Explain the numbers and name the folder of the runs."""
    base = study.base
    limit = f", {base.limit} training images" if base.limit else ""
    limit += f", {100 * base.label_noise:g} % label noise" if base.label_noise else ""
    seeds = f"seeds {study.seeds[0]} to {study.seeds[-1]}" if len(study.seeds) > 1 else f"seed {study.seeds[0]}"
    seeds = f"{study.folds} folds, {seeds}" if study.folds else seeds
    unit = study.unit
    epoch = "last epoch" if base.patience is None else f"best epoch on validation (patience {base.patience})"
    return [
        f"{base.data}{limit}, {base.model}, {base.length}, batch size {base.batch_size}, {seeds}; "
        f"test set, {epoch}, mean ± standard deviation over {unit}s.",
        f"against {study.baseline}: mean difference over shared {unit}s in points, 95 % confidence interval, and p "
        f"({name_of_test(study)}, Holm-corrected over the rows); the verdict is at p < 5 %."
        f"{ONE_IMAGE if study.task.name == CLASSIFY else ''}",
        f"detectable: the smallest difference that these {unit}s could show, at this standard deviation.",
        *_of_folds(study),
        *_of_untested(study),
        "added: extra parameters in training. time: median step time, relative.",
        *_of_equal_compute(study),
        f"study: {study.folder}",
    ]


def name_of_test(study: Study) -> str:
    """Return the name of the test of a difference: over seeds, or over folds."""
    return "corrected resampled t-test" if study.folds else "paired t-test"


def plain(study: Study) -> str:
    """Format the terminal's table as aligned text."""
    lines = [header(study), *rows(study)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def markdown(study: Study) -> str:
    """Format the full table and its footer as Markdown."""
    names, cells = full_table(study)
    lines = [names, ["---"] * len(names), *cells]
    table = "\n".join("| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
    return "\n".join([table, "", *(f"{line}  " for line in [*footer(study), _wide_notes(study)])]) + "\n"


def full_table(study: Study) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the names of all non-empty columns, and the cells of each row."""
    shown = summaries(study)
    columns = _wide(study, shown)
    return tuple(name for name, _ in columns), _cells(columns, shown)


def seeds_needed(compared: Comparison | None) -> str:
    """Format the range of seeds needed; empty unless the difference is not distinguishable."""
    if compared is None or compared.verdict != "not distinguishable" or not (ends := compared.seeds_needed_range):
        return ""
    return " to ".join(dict.fromkeys(str(each or f">{MOST_SEEDS}") for each in ends))


def seed_correlation(compared: Comparison | None) -> str:
    """Format the correlation with the baseline over seeds or folds; empty for fewer than three."""
    found = compared.difference.correlation if compared else None
    return "" if found is None else f"{found:+.2f}"


def detectable(compared: Comparison | None) -> str:
    """Format the smallest difference that the seeds or folds could show; empty without a standard deviation."""
    found = compared.detectable if compared else None
    return "" if found is None else f"{found:.2f}"


def _narrow(study: Study) -> list[Column]:
    return [
        ("method", lambda row: row.method),
        (f"{study.task.title} %", lambda row: mean_cell(row.score)),
        *_compared(f"against {study.baseline}", lambda row: row.against, study.baseline),
        ("added", lambda row: f"+{row.added:,}" if row.added else "0"),
        ("time", lambda row: _times(row.time)),
        ("n", lambda row: str(row.score.n)),
    ]


def _wide(study: Study, shown: Sequence[Summary]) -> list[Column]:
    """Return all non-empty columns."""
    columns = _narrow(study)
    columns[2:2] = _scores(shown, study.task)
    if not study.folds:
        columns.append(("seeds needed", lambda row: seeds_needed(row.against)))
    columns.append((f"{study.unit} correlation", lambda row: seed_correlation(row.against)))
    if study.compute:
        columns += [("compute", lambda row: _times(row.compute)), ("epochs", lambda row: str(row.epochs))]
    if any(row.equal_compute for row in shown):
        columns += _compared("against ce() at equal compute", lambda row: row.equal_compute, None)
    return columns


def _scores(shown: Sequence[Summary], task: Task) -> list[Column]:
    """Return the columns of the mean's interval, and of the validation score if there is one."""
    columns: list[Column] = [
        ("95 % of the mean", lambda row: "" if row.score.reach is None else f"± {row.score.reach:.2f}")
    ]
    if any(row.best for row in shown):
        columns.append((f"{task.title} % at best validation", lambda row: mean_cell(row.best) if row.best else ""))
    if any(row.validation for row in shown):
        columns.append(("validation %, last", lambda row: f"{row.validation[0]:.2f}" if row.validation else ""))
        columns.append(("validation %, best", lambda row: f"{row.validation[1]:.2f}" if row.validation else ""))
    return columns


def _compared(name: str, of: Callable[[Summary], Comparison | None], baseline: str | None) -> list[Column]:
    """Return the four columns of a comparison."""

    def words(row: Summary) -> str:
        return "baseline" if row.method == baseline else found.verdict if (found := of(row)) else ""

    shown = [(name, lambda row: gap_cell(of(row))), ("p", lambda row: p_cell(of(row))), ("verdict", words)]
    return [*shown, ("detectable", lambda row: detectable(of(row)))]


def _cells(columns: Sequence[Column], shown: Sequence[Summary]) -> list[tuple[str, ...]]:
    return [tuple(cell(row) for _, cell in columns) for row in shown]


def _of_folds(study: Study) -> list[str]:
    """Explain the statistics over folds."""
    if not study.folds:
        return []
    return [
        "folds: each is the test set once; a fold's value is the mean over its seeds. As folds share training images, "
        "standard errors are those of the corrected resampled t-test (Nadeau and Bengio, 2003): s * sqrt(1/J + "
        f"{study.overlap:.3g}) of J folds with {study.test_images:,} test and {study.train_images:,} training images."
    ]


def _wide_notes(study: Study) -> str:
    """Explain the columns of the full table alone."""
    unit = study.unit
    pairing = (
        f"{unit} correlation: Pearson's, with the baseline over shared {unit}s; pairing by {unit} helps where it is "
        "positive."
    )
    return pairing if study.folds else f"{SEEDS_NEEDED}{pairing}"


def _of_untested(study: Study) -> list[str]:
    """Explain the verdict "untested" where a row has it."""
    if not any(row.against and row.against.verdict == "untested" for row in summaries(study)):
        return []
    return [UNTESTED_IMAGES if study.task.name == CLASSIFY else UNTESTED]


def _of_equal_compute(study: Study) -> list[str]:
    rows = [f"{row} trains for {epochs} epochs" for row, epochs in study.epochs.items()]
    return [f"equal compute, by FLOPs: {', '.join(rows)}."] if rows else []


def mean_cell(spread: MeanStd) -> str:
    """Format a mean with its standard deviation."""
    return "" if not spread.n else f"{spread.mean:.2f}" + ("" if spread.std is None else f" ± {spread.std:.2f}")


def gap_cell(compared: Comparison | None) -> str:
    """Format a mean difference with its interval; empty without a comparison."""
    if compared is None:
        return ""
    gap = compared.difference
    mean = round(gap.mean, 2) + 0.0  # no minus before a zero
    return f"{mean:+.2f}" + ("" if gap.low is None else f" [{gap.low:+.2f}, {gap.high:+.2f}]")


def p_cell(compared: Comparison | None) -> str:
    """Format a corrected p value; empty without a test."""
    if compared is None or compared.corrected_p is None:
        return ""
    return "<.001" if compared.corrected_p < 0.001 else f"{compared.corrected_p:.3f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"
