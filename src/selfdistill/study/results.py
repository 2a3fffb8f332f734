"""results.csv: every finished run of a study in a line, without what the clock says."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfdistill.files import write_atomic
from selfdistill.study.study import Study

NAME = "results.csv"
OF_THE_CLOCK = {"step_ms", "images_per_second", "train_seconds"}
NOT_MEASURES = {"method", "resolved", "model", "data", "seed", "epochs"}


def write_results(study: Study) -> None:
    """Write the file: the same bytes wherever and in whatever order the runs were made."""
    if study.results:
        write_atomic(study.folder / NAME, lambda beside: _write(study, beside))


def _write(study: Study, path: Path) -> None:
    rows = list(_rows(study))
    with path.open("w", newline="") as file:
        lines = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
        lines.writeheader()
        lines.writerows(rows)


def _rows(study: Study) -> Iterator[dict[str, Any]]:
    for method in study.methods:
        for found in study.finished(method):
            who = {"method": method, "data": found["data"], "model": found["model"]}
            when = {"seed": found["seed"], "epochs": found["epochs"]}
            kept = {key: value for key, value in found.items() if key not in OF_THE_CLOCK | NOT_MEASURES}
            yield {**who, **when, **kept}
