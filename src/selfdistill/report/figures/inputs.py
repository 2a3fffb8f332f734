"""Inputs of figures: logs, and outputs of the trained networks on test images."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from selfdistill.data.examples import Examples, TensorSplits
from selfdistill.data.images import Images, Splits
from selfdistill.data.kinds import AnySplits, augmentation_for
from selfdistill.data.masked_images import MaskedImages, MaskedSplits
from selfdistill.data.sources import holds_images
from selfdistill.data.sources.own_name import require_data_module
from selfdistill.errors import UserError
from selfdistill.plots import CollectedOutputs, collect, first_per_class
from selfdistill.predict import predicted_masks
from selfdistill.records import AnyEpoch, RunInfo
from selfdistill.report.runs import Run
from selfdistill.study import Study
from selfdistill.task import SEGMENT
from selfdistill.train.networks import load_run, recorded_config, trained_normalization
from selfdistill.train.run import load_data

MAX_METHODS = 9  # in a figure with a panel or row per method, unless methods are chosen
MAX_IMAGES = 2000  # test images per network


@dataclass(frozen=True)
class FigureInputs:
    """A study and its runs; networks and images are loaded on first use.

    Networks are those of the first finished seed of the baseline and of the methods in `chosen` (default: the first
    methods of the study).
    """

    study: Study
    runs: dict[str, list[Run]]
    chosen: Sequence[str] = ()
    modules: Collection[str] = ()  # of the user's own models

    @property
    def logs(self) -> dict[str, list[list[AnyEpoch]]]:
        """Rows of each run's log by method."""
        return {method: [run.log for run in runs] for method, runs in self.runs.items()}

    @property
    def first_runs(self) -> dict[str, Run]:
        """Runs whose networks are used, by method."""
        order = sorted(self.runs, key=self._rank)
        shown = [self.study.baseline, *self.chosen] if self.chosen else order[:MAX_METHODS]
        return {method: self.runs[method][0] for method in order if method in shown}

    def _rank(self, row: str) -> int:
        """Sort key: the baseline first, then methods, then controls and equal-compute rows."""
        if row == self.study.baseline:
            return 0
        return 2 if row in self.study.epochs or row.startswith("control(") else 1

    @cached_property
    def networks(self) -> dict[str, tuple[nn.Module, RunInfo]]:
        """Trained networks with their run.json. Raises `UserError` if one is missing."""
        return {method: load_run(run.folder, self.modules) for method, run in self.first_runs.items()}

    @cached_property
    def splits(self) -> Splits | TensorSplits:
        """Data set of examples with labels of their own, images at the size of the training."""
        splits = self.any_splits
        if isinstance(splits, MaskedSplits):
            raise UserError("this figure shows examples with one class each, but these images have masks")
        return splits

    @cached_property
    def any_splits(self) -> AnySplits:
        """Data set of the study's task."""
        _, facts = next(iter(self.networks.values()))
        config = recorded_config(facts)
        require_data_module(config.data, self.modules, f"the study in '{self.study.folder}'")
        resized = self.study.task.name != SEGMENT and holds_images(config.data)
        return load_data(replace(config, size=facts["size"]) if resized else config)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return self.splits.classes

    @cached_property
    def test(self) -> Images | Examples:
        """Test examples; an even subset if there are more than `MAX_IMAGES`."""
        step = -(-len(self.splits.test) // MAX_IMAGES)
        return self.splits.test.rows(torch.arange(0, len(self.splits.test), step))

    def examples(self, each: int, classes: int) -> Images | Examples:
        """Select the first `each` test examples of the first classes, sorted by class."""
        return self.splits.test.rows(
            first_per_class(self.splits.test.labels, each, range(min(classes, len(self.classes))))
        )

    @cached_property
    def outputs(self) -> dict[str, CollectedOutputs]:
        """Outputs of each network on the test images."""
        return self.collect(self.test)

    def masked_examples(self, count: int) -> MaskedImages:
        """Select test images with masks, evenly spaced."""
        splits = self.any_splits
        if not isinstance(splits, MaskedSplits):
            raise UserError("these data have no images with masks")
        rows = torch.linspace(0, len(splits.test) - 1, min(count, len(splits.test))).long()
        return splits.test.rows(rows)

    def predicted_masks(self, method: str, images: MaskedImages) -> list[Tensor]:
        """Predict the masks of images by the network of a method. -> [H, W] each."""
        network, facts = self.networks[method]
        config = recorded_config(facts)
        augment = trained_normalization(augmentation_for(self.any_splits, config.size), facts)
        return list(predicted_masks(network, images, augment))

    def collect(self, images: Images | Examples, taps: tuple[str, ...] = ()) -> dict[str, CollectedOutputs]:
        """Compute the outputs of each network on images, and its features at taps."""
        return {method: self._collect(method, images, taps) for method in self.networks}

    def _collect(self, method: str, images: Images | Examples, taps: tuple[str, ...]) -> CollectedOutputs:
        network, facts = self.networks[method]
        normalize = trained_normalization(augmentation_for(self.splits, None), facts)
        return collect(network, images, normalize, taps=taps, classifier=facts["config"]["classifier"])
