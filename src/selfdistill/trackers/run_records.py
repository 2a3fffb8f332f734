"""Records of a run for a tracker: configuration, values of each epoch, final values, report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfdistill.files import is_file, parse_json, read_json, read_text
from selfdistill.records import LOG, RESULT, read_info
from selfdistill.train.config import RunConfig

PAGE = "report.html"
PARTS = ("train", "validation", "best")  # first words of a key: "train_top1" is shown as "train/top1"


@dataclass(frozen=True)
class RunRecords:
    """The records of a run, finished or not."""

    folder: Path
    group: str  # the study, or the folder that holds the run

    @property
    def name(self) -> str:
        """Name of the run in a tracker: method, model, fold and seed."""
        config = self.config
        repetition = RunConfig.from_json(config).repetition
        return f"{config['method']}, {config['model']}, {repetition}"

    @property
    def config(self) -> dict[str, object]:
        """Configuration of the run, with the method's arguments in full as `resolved`. Raises `UserError`."""
        info = read_info(self.folder)
        return {**info["config"], "resolved": info["resolved"]}

    def epochs(self) -> list[tuple[int, dict[str, float]]]:
        """Return the number of each finished epoch and its values by name."""
        lines = (read_text(self.folder / LOG) or "").splitlines()
        rows = [parse_json(line) for line in lines]
        return [(row["epoch"], epoch_values(row)) for row in rows]

    def final(self) -> dict[str, float] | None:
        """Return the final values by name; None before the run has finished."""
        if not is_file(self.folder / RESULT):
            return None
        return {f"final/{key}": value for key, value in read_json(self.folder / RESULT).items() if _is_number(value)}

    def page(self) -> Path | None:
        """Path of the report in the run's folder, or None."""
        path = self.folder / PAGE
        return path if is_file(path) else None


def epoch_values(row: Mapping[str, Any]) -> dict[str, float]:
    """Flatten a line of log.jsonl into values by name.

    >>> epoch_values({"epoch": 1, "lr": 0.1, "losses": {"task": 2.3}, "train_top1": 9.0})
    {'lr': 0.1, 'loss/task': 2.3, 'train/top1': 9.0}
    """
    values: dict[str, float] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            values |= {f"loss/{name}": each for name, each in value.items()}
        elif key != "epoch" and _is_number(value):
            values[_shown(key)] = value
    return values


def _shown(key: str) -> str:
    first, _, rest = key.partition("_")
    return f"{first}/{rest}" if first in PARTS and rest else key


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
