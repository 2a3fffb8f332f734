"""The report page: one self-contained HTML file."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from selfdistill import __version__
from selfdistill.plots import draw_critical_difference
from selfdistill.report.figures.figure import Picture, RenderedFigure, drawings, render_figures, unavailable_reasons
from selfdistill.report.figures.inputs import FigureInputs
from selfdistill.report.html import cells, config_diff
from selfdistill.report.html.axis import Axis
from selfdistill.report.html.curves import Curves, curves, sparkline
from selfdistill.report.html.scatter import Scatter, scatter
from selfdistill.report.html.template import asset, policy, template_environment
from selfdistill.report.runs import Run, anchor, logged_score, runs_of, score_curve, study_name, study_title
from selfdistill.report.tables.accuracy import footer, full_table, header
from selfdistill.report.tables.metrics_csv import StudyMetrics, comparison_details, read_metrics, sort_key
from selfdistill.report.text import caveats, commands, findings
from selfdistill.run_key import in_words
from selfdistill.study import Study
from selfdistill.study.analysis.mean_ranks import MeanRanks, rank_studies
from selfdistill.study.analysis.summary import Row, comparable, costs, summary_rows
from selfdistill.study.load import missing

WIDE, NARROW = (700, 420), (330, 360)  # pixels of a plot: wide and narrow screens


@dataclass(frozen=True)
class Section:
    """Data of the page's section about one study."""

    study: Study
    folder: Path  # of the page
    figures: Sequence[Picture]
    chosen: Sequence[str] = ()  # methods in the figures, in addition to the baseline
    links: bool = True  # to the runs' folders
    modules: Collection[str] = ()  # from which the networks of figures may be imported

    @cached_property
    def rows(self) -> list[Row]:
        """Summaries by method."""
        return summary_rows(self.study)

    @cached_property
    def runs(self) -> dict[str, list[Run]]:
        """Finished runs by method."""
        return runs_of(self.study)

    @cached_property
    def table(self) -> list[list[cells.TableCell]]:
        """Accuracy table; each cell has its values per run."""
        return cells.table(self.study)

    @cached_property
    def bars(self) -> Axis | None:
        """Shared axis of the confidence intervals; None without intervals."""
        ends = [end for row in self.rows if row.difference for end in (row.low, row.high)]
        return Axis.over([0.0, *ends], 4, 116) if ends else None

    @cached_property
    def scatters(self) -> list[Scatter]:
        """Scatter plots of cost and gain for wide and narrow screens; empty if there is nothing to compare."""
        return [found for size in (WIDE, NARROW) if (found := scatter(self.rows, *size))]

    @cached_property
    def curves(self) -> Curves | None:
        """Learning curves."""
        return curves(self.runs, self.study.baseline, self.study.task)

    @cached_property
    def metrics(self) -> StudyMetrics:
        """Tables of all metrics."""
        return read_metrics(self.study)

    @cached_property
    def pictures(self) -> list[RenderedFigure]:
        """Rendered figures; unavailable ones have a reason."""
        return render_figures(
            FigureInputs(self.study, self.runs, self.chosen, self.modules), self.figures, anchor(self.study)
        )

    def link(self, run: Run, file: str = "") -> str:
        """Return the relative URL of a run's folder or of a file in it."""
        return quote(os.path.relpath(run.folder / file, self.folder))

    @cached_property
    def sparklines(self) -> dict[str, str]:
        """Sparkline of each run by its anchor, all on one scale."""
        key, runs = logged_score(self.runs, self.study.task), [run for each in self.runs.values() for run in each]
        values = [value for run in runs for _, value in score_curve(run, key)]
        y = Axis.over(values or [0.0], 22, 2)
        return {anchor(self.study, run.method, run.key): sparkline(run, key, y) for run in runs}


def page(
    studies: Sequence[Study],
    folder: Path,
    pictures: Sequence[Picture] = (),
    chosen: Sequence[str] = (),
    links: bool = True,
    modules: Collection[str] = (),
) -> str:
    """Render the page of one or several studies, for the output folder `folder`; deterministic."""
    script, style = map(asset, ("page.js", "page.css"))
    return (
        _environment()
        .get_template("page.html")
        .render(
            sections=[Section(study, folder, pictures, chosen, links, modules) for study in studies],
            across_studies=cells.across_studies(list(studies)) if len(studies) > 1 else [],
            ranks=rank_studies(studies),
            script=Markup(script),
            style=Markup(style),
            policy=policy(script),
            version=__version__,
        )
    )


def rank_drawings(ranks: MeanRanks) -> list[Markup]:
    """Return the diagram of mean ranks for wide and narrow screens."""
    return drawings(draw_critical_difference, (ranks.ranks, ranks.critical, ranks.groups), "ranks", "Mean ranks")


def _environment() -> Environment:
    """Create the template environment, with the functions that templates call."""
    environment = template_environment()
    known = (
        anchor,
        study_name,
        study_title,
        missing,
        header,
        footer,
        full_table,
        comparable,
        costs,
        findings.findings,
        caveats.caveats,
        commands.compare_command,
        rank_drawings,
    )
    more = (
        sort_key,
        comparison_details,
        commands.train_command,
        commands.has_default_seeds,
        config_diff.differences,
        config_diff.resolved_methods,
        in_words,
    )
    environment.globals |= {
        each.__name__: each for each in (*known, *more, config_diff.common_value, unavailable_reasons)
    }
    return environment
