"""Training compute of a method in FLOPs, independent of the machine."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from selfdistill.data.kinds import AnySplits, augmentation_for, training_loader
from selfdistill.method.networks import Teacher
from selfdistill.methods import parse_method
from selfdistill.step import memory
from selfdistill.study.study import BASELINE_METHOD
from selfdistill.terms import Progress
from selfdistill.train import networks as teacher
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import untrained_distiller


def relative_compute(config: RunConfig, splits: AnySplits) -> float:
    """Return the FLOPs of a run relative to plain cross-entropy with the same number of steps.

    Counts matrix products and convolutions of one training step, forward and backward, with all passes, heads and
    teachers. The training of a teacher is included, unless the teacher is an existing run.
    """
    flops = lru_cache(lambda config: step_flops(config, splits))
    return _flops_with_teachers(config, flops) / flops(replace(config, method=BASELINE_METHOD))


def step_flops(config: RunConfig, splits: AnySplits) -> int:
    """Count the FLOPs of one training step, including the backward pass."""
    method = parse_method(config.method)
    loader = training_loader(
        splits.train,
        config.batch_size,
        augment=augmentation_for(splits, config.size),
        mixing=method.mixing,
        erasing=method.erasing,
        needs=method.needs,
    )
    distiller = untrained_distiller(config, splits, loader.batch_size).train()
    memories = memory.start(distiller.terms, distiller.training_info(loader.batch_size, len(splits.train)))
    progress = Progress(torch.tensor(0.0), torch.tensor(float(config.epochs)), torch.tensor(0.0))
    with FlopCounterMode(display=False) as counter:
        made = distiller(next(loader.epoch(0)), progress, memories)
        distiller.total(made.losses).backward()
    distiller.close()
    return int(counter.get_total_flops())


def longer_rows(compute: Mapping[str, float], epochs: int) -> dict[str, int]:
    """Return cross-entropy rows with the compute of each method that costs more, and their epochs.

    Ratios are rounded once, to whole epochs of a run of `epochs`; methods with as many epochs share a row, and the row
    is named by its own ratio.

    >>> longer_rows({"ce()": 1.0, "a": 1.31, "b": 1.35}, epochs=12)
    {'ce() at 1.33x': 16}
    """
    longer = sorted({round(epochs * ratio) for ratio in compute.values()})
    return {f"{BASELINE_METHOD} at {each / epochs:.2f}x": each for each in longer if each > epochs}


def _flops_with_teachers(config: RunConfig, flops: Callable[[RunConfig], int]) -> int:
    return flops(config) + sum(_flops_with_teachers(each, flops) for each in _teacher_runs(config))


def _teacher_runs(config: RunConfig) -> Iterator[RunConfig]:
    """Yield the runs that train the teachers."""
    for role in parse_method(config.method).networks.values():
        if isinstance(role, Teacher) and isinstance(planned := teacher.plan(role, config), RunConfig):
            yield planned
