"""Runs of a second, and what to compare of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfdistill.cli.app import main
from selfdistill.methods import parse_method
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.run import make_trainer, run

PIXELS = "shapes:segment,size=16,train=24,test=6"
TAGS = "shapes:tag,size=16,train=60,test=20"
TIMES = {"seconds", "images_per_second", "step_ms", "train_seconds"}


def small(text: str = "ce()", **changes: Any) -> RunConfig:
    return RunConfig(text, **{"limit": 200, "epochs": 2, "batch_size": 32, "accelerator": "cpu"} | changes)


class Interrupted(Exception):
    pass


class StopAfter(Listener):
    """Whatever ends a run, right after so many epochs."""

    def __init__(self, epochs: int):
        self.epochs = epochs

    def on_epoch(self, row):
        if row["epoch"] == self.epochs:
            raise Interrupted


class CutAt(Listener):
    """Whatever ends a run, right after so many steps; with `save_every=0` a checkpoint was written one step before."""

    def __init__(self, steps: int):
        self.left = steps

    def on_step(self):
        self.left -= 1
        if self.left == 0:
            raise Interrupted


def trainer(config: RunConfig, splits: Any, folder: Path, networks: Any = None, listener: Any = None) -> Any:
    made = parse_method(config.method)
    return make_trainer(config, made, splits, networks or {}, folder, listener or Listener())


def log(folder: Path) -> list[dict[str, Any]]:
    """A run's log without what the clock says."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def untimed(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in TIMES}


def weights(folder: Path) -> bytes:
    return (folder / "student.safetensors").read_bytes()


def segmenting(text: str = "ce()", **changes: Any) -> RunConfig:
    return RunConfig(text, **{"data": PIXELS, "model": "unet-4", "epochs": 2, "batch_size": 8} | changes)


def tagging(text: str = "ce()", **changes: Any) -> RunConfig:
    return RunConfig(text, **{"data": TAGS, "epochs": 2, "batch_size": 16} | changes)


def command(capsys: Any, *words: object) -> tuple[Any, str, str]:
    """The exit status of a command, and what it said."""
    with pytest.raises(SystemExit) as end:
        main([*map(str, words)])
    return end.value.code, *capsys.readouterr()


def goes_on_bitwise(config: RunConfig, splits: Any, folder: Path) -> None:
    """Assert that a run which ends after its first epoch goes on to the weights, result and log of a whole one."""
    whole = run(config, folder / "whole", splits=splits)
    with pytest.raises(Interrupted):
        run(config, folder / "cut", splits=splits, listener=StopAfter(1))
    assert untimed(run(config, folder / "cut", splits=splits)) == untimed(whole)
    assert weights(folder / "cut") == weights(folder / "whole")
    assert log(folder / "cut") == log(folder / "whole")
