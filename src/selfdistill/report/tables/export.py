"""Export of the accuracy table to CSV, Markdown and LaTeX, with the printed numbers."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isnan

from selfdistill.files import csv_cell, one_line
from selfdistill.report.runs import study_name
from selfdistill.report.tables.accuracy import detectable, full_table, markdown, seed_correlation, seeds_needed
from selfdistill.study import Study
from selfdistill.study.analysis.comparison import Comparison
from selfdistill.study.analysis.summary import Summary, summaries

COLUMNS = (
    *("data", "model", "label_noise", "epochs", "method", "n"),
    *("score", "mean", "std", "validation_last", "validation_best", "best_epoch_mean", "best_epoch_std"),
    *("baseline", "difference", "low", "high", "p", "verdict", "detectable", "seeds_needed", "seed_correlation"),
    *("step_time", "added_parameters", "compute"),
    *(
        "equal_compute_difference",
        "equal_compute_low",
        "equal_compute_high",
        "equal_compute_p",
        "equal_compute_verdict",
        "equal_compute_detectable",
    ),
)
SPECIAL = {
    **{letter: f"\\{letter}" for letter in "#$%&_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",  # some LaTeX encodings lack \textless and \textgreater
    ">": "$>$",
    "|": "$|$",
    "'": r"\textquotesingle{}",
    '"': r"{\char34}",
    "±": r"$\pm$",
}


def as_csv(studies: Sequence[Study]) -> str:
    """Format studies as CSV: a line per method, percent and points with two decimals."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(
        map(csv_cell, _values(study, row)) for study in studies if study.results for row in summaries(study)
    )
    return file.getvalue()


def as_markdown(studies: Sequence[Study]) -> str:
    """Format studies as Markdown: one table per study."""
    found = [study for study in studies if study.results]
    if len(found) == 1:
        return markdown(found[0])
    return "\n".join(f"## {study_name(study)}\n\n{markdown(study)}" for study in found)


def as_latex(studies: Sequence[Study]) -> str:
    """Format studies as LaTeX: one table per study; requires the package booktabs."""
    return "% \\usepackage{booktabs}\n" + "\n".join(_tabular(study) for study in studies if study.results)


TABLE_FILES: dict[str, Callable[[Sequence[Study]], str]] = {
    "table.csv": as_csv,
    "table.md": as_markdown,
    "table.tex": as_latex,
}


def escape_latex(text: str) -> str:
    """Escape text for LaTeX; a hyphen before a digit becomes a minus."""
    return re.sub(r"(?<![\w)])-(?=\d)", "$-$", "".join(SPECIAL.get(letter, letter) for letter in one_line(text)))


def _values(study: Study, row: Summary) -> Iterator[str]:
    yield from (study.base.data, study.base.model, f"{study.base.label_noise:g}")
    yield from (str(row.epochs), row.method, str(row.score.n))
    yield f"{study.task.title} %"
    yield from map(_two, (row.score.mean, row.score.std, *(row.validation or (None, None))))
    yield from map(_two, (row.best.mean, row.best.std) if row.best else (None, None))
    yield from (study.baseline if row.against else "", *_against(row.against))
    yield from (seeds_needed(row.against), seed_correlation(row.against))
    yield from (_two(row.time), str(row.added), _two(row.compute), *_against(row.equal_compute))


def _against(compared: Comparison | None) -> Iterator[str]:
    """Yield difference, interval, corrected p, verdict and the smallest detectable difference."""
    if compared is None:
        yield from ("",) * 6
    else:
        gap, p = compared.difference, compared.corrected_p
        yield from (_two(gap.mean), _two(gap.low), _two(gap.high))
        yield from (
            "" if p is None else f"{p:.3f}" if p >= 0.001 else f"{p:.1e}",
            compared.verdict,
            detectable(compared),
        )


def _two(value: float | None) -> str:
    return "" if value is None or isnan(value) else f"{value:.2f}"


def _tabular(study: Study) -> str:
    names, rows = full_table(study)
    base, folds = study.base, f"{study.folds} folds, " if study.folds else ""
    lines = [[_monospace(method), *map(escape_latex, cells)] for method, *cells in rows]
    return "\n".join(
        [
            one_line(f"% {base.data}, {base.model}, {base.epochs} epochs, {folds}seeds {list(study.seeds)}"),
            rf"\begin{{tabular}}{{{''.join('l' if each in ('method', 'verdict') else 'r' for each in names)}}}",
            r"\toprule",
            _line(map(escape_latex, names)),
            r"\midrule",
            *map(_line, lines),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _monospace(text: str) -> str:
    return rf"\texttt{{{escape_latex(text)}}}"


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
