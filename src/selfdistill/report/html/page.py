"""The page: one HTML file that needs nothing beside it."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from selfdistill import __version__
from selfdistill.report.figures.figure import Drawn, Picture, drawn, reasons
from selfdistill.report.figures.inputs import Evidence
from selfdistill.report.html import cells, config_diff
from selfdistill.report.html.axis import Axis
from selfdistill.report.html.curves import Curves, curves, spark
from selfdistill.report.html.scatter import Scatter, scatter
from selfdistill.report.runs import Run, anchor, curve, name, runs_of, title, watched
from selfdistill.report.tables.accuracy import footer, header, whole
from selfdistill.report.tables.metrics_csv import Measures, measures, sort_key, told
from selfdistill.report.text import caveats, commands, findings
from selfdistill.study import Study
from selfdistill.study.analysis.summary import Row, comparable, costs, rows_of
from selfdistill.study.load import missing

WIDE, NARROW = (700, 420), (330, 360)  # of a drawing, pixels: on a desk, on a phone


@dataclass(frozen=True)
class Section:
    """One study as its part of the page asks for it."""

    study: Study
    place: Path  # where the page will lie
    asked: Sequence[Picture]
    chosen: Sequence[str] = ()  # methods in the pictures beside the baseline
    links: bool = True  # to the runs' folders

    @cached_property
    def rows(self) -> list[Row]:
        """The numbers by method."""
        return rows_of(self.study)

    @cached_property
    def runs(self) -> dict[str, list[Run]]:
        """The finished runs by method."""
        return runs_of(self.study)

    @cached_property
    def table(self) -> list[list[cells.Cell]]:
        """The printed table, each cell with its runs."""
        return cells.table(self.study)

    @cached_property
    def bars(self) -> Axis | None:
        """The line that the intervals of all rows are drawn along; None without intervals."""
        ends = [end for row in self.rows if row.difference for end in (row.low, row.high)]
        return Axis.over([0.0, *ends], 4, 116) if ends else None

    @cached_property
    def scatters(self) -> list[Scatter]:
        """Cost against gain for a desk and for a phone; none where there is nothing to compare."""
        return [found for size in (WIDE, NARROW) if (found := scatter(self.rows, *size))]

    @cached_property
    def curves(self) -> Curves | None:
        """The learning curves."""
        return curves(self.runs, self.study.baseline)

    @cached_property
    def measures(self) -> Measures:
        """What was measured beside the table's accuracy."""
        return measures(self.study)

    @cached_property
    def pictures(self) -> list[Drawn]:
        """The pictures, and why some are left out."""
        return drawn(Evidence(self.study, self.runs, self.chosen), self.asked, anchor(self.study))

    def link(self, run: Run, file: str = "") -> str:
        """The way from the page to a run's folder or a file in it."""
        return quote(os.path.relpath(run.folder / file, self.place))

    @cached_property
    def sparks(self) -> dict[str, str]:
        """A small line for each run, by its anchor, all on one scale."""
        key, runs = watched(self.runs), [run for each in self.runs.values() for run in each]
        values = [value for run in runs for _, value in curve(run, key)]
        y = Axis.over(values or [0.0], 22, 2)
        return {anchor(self.study, run.method, run.seed): spark(run, key, y) for run in runs}


def page(
    studies: Sequence[Study],
    place: Path,
    pictures: Sequence[Picture] = (),
    chosen: Sequence[str] = (),
    links: bool = True,
) -> str:
    """The page of one study or several, to lie in the folder `place`; the same studies give the same bytes."""
    script, style = map(_asset, ("page.js", "page.css"))
    return (
        _environment()
        .get_template("page.html")
        .render(
            sections=[Section(study, place, pictures, chosen, links) for study in studies],
            over_all=cells.over_all(list(studies)) if len(studies) > 1 else [],
            script=Markup(script),
            style=Markup(style),
            policy=_policy(script),
            version=__version__,
        )
    )


def _environment() -> Environment:
    """Templates that escape all they are given and know what the page asks of a study."""
    environment = Environment(
        loader=PackageLoader("selfdistill.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    known = (
        anchor,
        name,
        title,
        missing,
        header,
        footer,
        whole,
        comparable,
        costs,
        findings.shows,
        caveats.shows_not,
        commands.compare_command,
    )
    more = (sort_key, told, commands.train_command, commands.repeats_all, config_diff.differences, config_diff.resolved)
    environment.globals |= {each.__name__: each for each in (*known, *more, config_diff.common, reasons)}
    return environment


def _asset(file: str) -> str:
    return (resources.files("selfdistill.report.html") / "templates" / file).read_text()


def _policy(script: str) -> str:
    """What the page may do: run its own script and nothing else, and never use the network."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
