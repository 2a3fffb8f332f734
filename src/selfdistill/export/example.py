"""Inputs that a network is exported and checked with: test examples of its run, or random images."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor

from selfdistill.data.kinds import AnyAugmentation, AnySplits, augmentation_for, example_inputs
from selfdistill.data.sources.own_name import require_data_module
from selfdistill.errors import UserError
from selfdistill.export.logits_only import IMAGES
from selfdistill.inputs import Inputs
from selfdistill.records import RunInfo
from selfdistill.train.networks import recorded_config, require_classes, trained_normalization
from selfdistill.train.run import load_data

INPUTS = "inputs"  # name of a single input of tensors
ROWS = 3  # above one, which torch.export would take for the only number of rows


class Example(NamedTuple):
    """Normalized inputs by name, ROWS rows each, and where they come from."""

    inputs: dict[str, Tensor]
    source: str


class RunData(NamedTuple):
    """The data of a run, with the normalization of its training."""

    splits: AnySplits
    augment: AnyAugmentation


def data_of(info: RunInfo, folder: Path, modules: Collection[str]) -> RunData:
    """Load the data of a run; image files are decoded on access. Raises `UserError`."""
    config = recorded_config(info)
    require_data_module(config.data, modules, f"the run in '{folder}'")
    splits = load_data(replace(config, decode="stream", label_noise=0.0))
    require_classes(info, splits, folder)
    return RunData(splits, trained_normalization(augmentation_for(splits, config.size), info))


def example_of(info: RunInfo, folder: Path, modules: Collection[str]) -> Example:
    """Return the first test examples of a run, or random images where its images cannot be read.

    Raises `UserError` for tensors that cannot be read, whose shapes the record does not tell.
    """
    try:
        data = data_of(info, folder, modules)
        inputs = named(example_inputs(data.splits.test, ROWS, data.augment), info)
    except UserError as error:
        if isinstance(info["mean"], dict):
            raise
        return _random(info, str(error))
    wanted = None if isinstance(info["mean"], dict) else _shape(info)
    if wanted and (found := tuple(inputs[IMAGES].shape[1:])) != wanted:
        return _random(info, f"test images have the shape {[*found]} now, and {[*wanted]} in training")
    kind = "examples" if wanted is None else "images"
    return Example({name: _rows(each) for name, each in inputs.items()}, f"test {kind} of {data.splits.name}")


def named(inputs: Inputs, info: RunInfo) -> dict[str, Tensor]:
    """Return the inputs of a run's network by the names that exported files give them."""
    if isinstance(inputs, Tensor):
        return {INPUTS if isinstance(info["mean"], dict) else IMAGES: inputs}
    return dict(cast(Mapping[str, Tensor], inputs))


def _rows(values: Tensor) -> Tensor:
    """Repeat the rows of a small test set."""
    return values[torch.arange(ROWS) % len(values)].contiguous()


def _random(info: RunInfo, why: str) -> Example:
    images = torch.randn(ROWS, *_shape(info), generator=torch.Generator().manual_seed(0))
    return Example({IMAGES: images}, f"random numbers, as no test image can be read ({why})")


def _shape(info: RunInfo) -> tuple[int, ...]:
    return (len(info["mean"]), *(info.get("sides") or [info["size"]] * 2))
