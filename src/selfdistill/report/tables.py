"""The table for other programs: CSV, Markdown and LaTeX, with the numbers as printed."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence

from selfdistill.report.row import Row, cells_of, rows_of
from selfdistill.report.runs import name
from selfdistill.study import Study
from selfdistill.study.table import header, markdown

COLUMNS = (
    *("data", "model", "epochs", "method", "baseline", "top1_mean", "top1_std", "n", "difference", "low", "high"),
    *("verdict", "added_parameters", "step_time"),
)
SPECIAL = {
    **{letter: f"\\{letter}" for letter in "#$%&_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "'": r"\textquotesingle{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
}


def as_csv(studies: Sequence[Study]) -> str:
    """A line a method, a number a field; percent and points with two decimals."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(_values(study, row) for study in studies if study.results for row in rows_of(study))
    return file.getvalue()


def as_markdown(studies: Sequence[Study]) -> str:
    """The table that compare writes, one a study."""
    found = [study for study in studies if study.results]
    if len(found) == 1:
        return markdown(found[0])
    return "\n".join(f"## {name(study)}\n\n{markdown(study)}" for study in found)


def as_latex(studies: Sequence[Study]) -> str:
    """The table for a paper, one a study; wants the package booktabs."""
    return "% \\usepackage{booktabs}\n" + "\n".join(_tabular(study) for study in studies if study.results)


FORMS: dict[str, Callable[[Sequence[Study]], str]] = {
    "table.csv": as_csv,
    "table.md": as_markdown,
    "table.tex": as_latex,
}


def escaped(text: str) -> str:
    """Text as LaTeX takes it; a minus before a digit is one."""
    return re.sub(r"(?<![\w)])-(?=\d)", "$-$", "".join(SPECIAL.get(letter, letter) for letter in text))


def _values(study: Study, row: Row) -> Iterator[str]:
    base, gap = study.base, row.difference
    yield from (base.data, base.model, str(base.epochs), row.method, study.baseline)
    yield from (_two(row.accuracy.mean), _two(row.accuracy.std), str(row.accuracy.n))
    yield from map(_two, (gap.mean, gap.low, gap.high) if gap else (None, None, None))
    yield from (row.verdict, str(row.added), _two(row.step_time))


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _tabular(study: Study) -> str:
    columns = header(study)
    lines = [[_typed(row["method"]), *(escaped(row[each]) for each in columns[1:])] for row in cells_of(study)]
    return "\n".join(
        [
            f"% {study.base.data}, {study.base.model}, {study.base.epochs} epochs, seeds {list(study.seeds)}",
            rf"\begin{{tabular}}{{{''.join('l' if each in ('method', 'verdict') else 'r' for each in columns)}}}",
            r"\toprule",
            _line(map(escaped, columns)),
            r"\midrule",
            *map(_line, lines),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _typed(text: str) -> str:
    return rf"\texttt{{{escaped(text)}}}"


def _line(cells) -> str:
    return " & ".join(cells) + r" \\"
