"""Reproduction of a published table with own runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scipy import stats

from selfdistill.errors import UserError
from selfdistill.study.analysis.statistics import LEVEL, MeanStd
from selfdistill.study.compare import prepare, run_studies
from selfdistill.study.engine.engine import Engine
from selfdistill.study.grid import Grid
from selfdistill.study.layout import pair_folder
from selfdistill.study.papers import PAPERS, Published, PublishedValue
from selfdistill.study.papers.published import METRICS
from selfdistill.study.study import Study
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener

SCALED = "scaled: not the paper's numbers"


@dataclass(frozen=True)
class Line:
    """A published value and the mean of our runs; None if no run finished."""

    cell: PublishedValue
    ours: MeanStd | None
    scaled: bool = False

    @property
    def verdict(self) -> str:
        """Return "agrees" if the published number lies in the 95 % prediction interval of our seeds.

        Otherwise "higher" or "lower" (our mean), "one seed", "scaled" or "failed".
        """
        if self.ours is None or self.scaled:
            return "failed" if self.ours is None else "scaled"
        if self.ours.std is None:
            return "one seed"
        reach = float(stats.t.isf(LEVEL / 2, self.ours.n - 1)) * self.ours.std * (1 + 1 / self.ours.n) ** 0.5
        if abs(self.ours.mean - self.cell.expected) <= reach:
            return "agrees"
        return "higher" if self.ours.mean > self.cell.expected else "lower"


def published(name: str) -> Published:
    """Return a published table by name. Raises `UserError` for an unknown name."""
    if name not in PAPERS:
        raise UserError(f"there is no table {name!r} to reproduce; choose {', '.join(PAPERS)}")
    return PAPERS[name]


def scaled(table: Published, scale: float) -> RunConfig:
    """Scale the epochs and images of a table's recipe. Raises `UserError` unless 0 < `scale` <= 1."""
    if not 0 < scale <= 1:
        raise UserError(f"scale must be above 0 and at most 1, but is {scale:g}")
    if scale == 1:
        return table.recipe
    epochs, warmup = max(1, round(table.recipe.epochs * scale)), round(table.recipe.warmup * scale)
    return replace(table.recipe, epochs=epochs, warmup=warmup, limit=round(table.images * scale))


def reproduce(
    table: Published,
    folder: Path,
    *,
    scale: float = 1.0,
    seeds: Sequence[int] = range(3),
    data: str | None = None,
    models: Sequence[str] = (),
    engine: Engine | None = None,
    listener: Listener | None = None,
) -> tuple[list[Line], list[Study]]:
    """Train the runs of a table, or of some of its models, and compare each value with the published one.

    `data` names another source of the same images. Raises `UserError` before any training if a method, model or data
    set does not fit.
    """
    recipe = scaled(table, scale)
    recipe = replace(recipe, data=data or recipe.data)
    cells = [cell for cell in table.cells if cell.model in _selected_models(table, models)]
    studies = {
        model: _study(model, cells, recipe, seeds, folder, listener) for model in dict.fromkeys(c.model for c in cells)
    }
    run_studies(list(studies.values()), folder, engine=engine, listener=listener)
    return [_line(cell, studies[cell.model], scale < 1) for cell in cells], list(studies.values())


def _study(
    model: str,
    cells: Sequence[PublishedValue],
    recipe: RunConfig,
    seeds: Sequence[int],
    folder: Path,
    listener: Listener | None,
) -> Study:
    grid = Grid([cell.method for cell in cells if cell.model == model], seeds=seeds)
    return prepare(grid, replace(recipe, model=model), pair_folder(folder, recipe.data, model), listener)


def _line(cell: PublishedValue, study: Study, scaled: bool) -> Line:
    (row,) = Grid([cell.method]).rows
    found = [METRICS[cell.metric](each) for each in study.finished(row)]
    return Line(cell, MeanStd.of(found) if found else None, scaled)


def _selected_models(table: Published, models: Sequence[str]) -> Sequence[str]:
    there = list(dict.fromkeys(cell.model for cell in table.cells))
    if unknown := [each for each in models if each not in there]:
        raise UserError(f"the table has no model {unknown[0]!r}; it has {', '.join(there)}")
    return models or there
