"""What the pictures of a study are made of: logs, and what the trained networks show of test images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn

from selfdistill.data import Augmentation, Images, Splits
from selfdistill.plots import Shown, collect, some
from selfdistill.report.runs import Run
from selfdistill.study import Study
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import load_run
from selfdistill.train.run import load_data

MOST = 9  # methods in a picture that has a panel or a row for each, where nobody chose
IMAGES = 2000  # test images shown to a network


@dataclass(frozen=True)
class Evidence:
    """A study and its runs; networks and images are read once a picture asks for them.

    Networks are those of each method's first finished seed: of the baseline, and of the methods in `chosen`, or of
    those after it where none are.
    """

    study: Study
    runs: dict[str, list[Run]]
    chosen: Sequence[str] = ()

    @property
    def logs(self) -> dict[str, list[list[dict[str, Any]]]]:
        """The rows of each run's log by method."""
        return {method: [run.log for run in runs] for method, runs in self.runs.items()}

    @property
    def firsts(self) -> dict[str, Run]:
        """The runs whose networks are shown."""
        order = sorted(self.runs, key=self._late)
        shown = [self.study.baseline, *self.chosen] if self.chosen else order[:MOST]
        return {method: self.runs[method][0] for method in order if method in shown}

    def _late(self, row: str) -> int:
        """The baseline is shown first, and last what is no method of its own but stands for what one costs."""
        if row == self.study.baseline:
            return 0
        return 2 if row in self.study.epochs or row.startswith("control(") else 1

    @cached_property
    def networks(self) -> dict[str, tuple[nn.Module, dict[str, Any]]]:
        """The trained networks and what run.json says of each. Raises `UserError` where one is not there."""
        return {method: load_run(run.folder) for method, run in self.firsts.items()}

    @cached_property
    def splits(self) -> Splits:
        """The data, in the size that the networks were trained on."""
        _, facts = next(iter(self.networks.values()))
        return load_data(replace(RunConfig.from_json(facts["config"]), size=facts["size"]))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names."""
        return self.splits.classes

    @cached_property
    def test(self) -> Images:
        """Test images, evenly chosen where there are many."""
        step = -(-len(self.splits.test) // IMAGES)
        return self.splits.test.rows(torch.arange(0, len(self.splits.test), step))

    def few(self, each: int, classes: int) -> Images:
        """The first test images of the first classes, class after class."""
        return self.splits.test.rows(some(self.splits.test.labels, each, range(min(classes, len(self.classes)))))

    @cached_property
    def shown(self) -> dict[str, Shown]:
        """What each network says of the test images."""
        return self.show(self.test)

    def show(self, images: Images, taps: tuple[str, ...] = ()) -> dict[str, Shown]:
        """What each network says of images, and its features at taps."""
        return {method: self._shown(method, images, taps) for method in self.networks}

    def _shown(self, method: str, images: Images, taps: tuple[str, ...]) -> Shown:
        network, facts = self.networks[method]
        plain = Augmentation(0, False, tuple(facts["mean"]), tuple(facts["std"]))  # what it was trained with
        return collect(network, images, plain, taps=taps, classifier=facts["config"]["classifier"])
