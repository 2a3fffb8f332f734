"""A study as a table: text and Markdown."""

from collections.abc import Sequence
from statistics import median

from selfdistill.study.compare import Study
from selfdistill.study.statistics import Difference, Spread

COLUMNS = ("method", "top-1 %", "against {}", "verdict", "added", "step time", "n")


def header(study: Study) -> tuple[str, ...]:
    """The columns' names."""
    return tuple(each.format(study.baseline) for each in COLUMNS)


def rows(study: Study) -> list[tuple[str, ...]]:
    """A row for each method that finished a run, in the order they were asked for."""
    return [_row(study, method) for method in study.methods if study.finished(method)]


def footer(study: Study) -> list[str]:
    """What the numbers are of, and where the runs lie."""
    base = study.base
    limit = f", {base.limit} training images" if base.limit else ""
    seeds = f"seeds {study.seeds[0]} to {study.seeds[-1]}" if len(study.seeds) > 1 else f"seed {study.seeds[0]}"
    return [
        f"{base.data}{limit}, {base.model}, {base.epochs} epochs of batches of {base.batch_size}, {seeds}; "
        "test set, last epoch, mean ± standard deviation over seeds.",
        f"against {study.baseline}: mean difference at equal seeds and its 95 % interval (paired t), in points. "
        "added: parameters, in training only. step time: median, relative.",
        f"runs: {study.folder / 'runs'}",
    ]


def plain(study: Study) -> str:
    """Give the table as aligned text."""
    lines = [header(study), *rows(study)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown(study: Study) -> str:
    """Give the table and its footer as Markdown."""
    names = header(study)
    lines = [names, tuple("---" for _ in names), *rows(study)]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return "\n".join([table, "", *(f"{line}  " for line in footer(study))]) + "\n"


def _row(study: Study, method: str) -> tuple[str, ...]:
    finished = study.finished(method)
    accuracy = Spread.of([each["top1"] for each in finished])
    std = "" if accuracy.std is None else f" ± {accuracy.std:.2f}"
    added = max(each["added_parameters"] for each in finished)
    base = study.finished(study.baseline)
    ratio = f"{_step_ms(finished) / _step_ms(base):.2f}x" if base else ""
    count = f"+{added:,}" if added else "0"
    return (method, f"{accuracy.mean:.2f}{std}", *_against(study, method), count, ratio, str(accuracy.n))


def _against(study: Study, method: str) -> tuple[str, str]:
    """The paired difference to the baseline on the seeds that both finished, and its verdict."""
    if method == study.baseline:
        return "", "baseline"
    if not (pairs := _pairs(study, method)):
        return "", ""
    own, base = zip(*pairs, strict=True)
    difference = Difference.paired(own, base)
    if difference.low is None:
        return f"{difference.mean:+.2f}", difference.verdict
    return f"{difference.mean:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]", difference.verdict


def _pairs(study: Study, method: str) -> Sequence[tuple[float, float]]:
    own, base = study.results.get(method, {}), study.results.get(study.baseline, {})
    return [(own[seed]["top1"], base[seed]["top1"]) for seed in study.seeds if seed in own and seed in base]


def _step_ms(finished: Sequence[dict]) -> float:
    return median(each["step_ms"] for each in finished)
