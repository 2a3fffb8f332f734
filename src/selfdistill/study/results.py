"""results.csv: one line per finished run of a study, without timings."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfdistill.files import csv_cell, write_atomic
from selfdistill.run_key import FoldSeed
from selfdistill.study.study import Study

NAME = "results.csv"
TIMINGS = {"step_ms", "images_per_second", "train_seconds"}
NOT_METRICS = {"method", "resolved", "model", "data", "seed", "epochs"}


def write_results(study: Study) -> None:
    """Write results.csv; the bytes do not depend on where or in which order the runs were trained."""
    if study.results:
        write_atomic(study.folder / NAME, lambda beside: _write(study, beside))


def _write(study: Study, path: Path) -> None:
    rows = list(_rows(study))
    with path.open("w", newline="") as file:
        lines = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
        lines.writeheader()
        lines.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)


def _rows(study: Study) -> Iterator[dict[str, Any]]:
    for method in study.methods:
        for key in (each for each in study.keys if each in study.results.get(method, {})):
            found = study.results[method][key]
            names = {"method": method, "data": found["data"], "model": found["model"]}
            fold = {"fold": key.fold} if isinstance(key, FoldSeed) else {}
            numbers = {**fold, "seed": found["seed"], "epochs": found["epochs"]}
            metrics = {key: value for key, value in found.items() if key not in TIMINGS | NOT_METRICS}
            yield {**names, **numbers, **metrics}
