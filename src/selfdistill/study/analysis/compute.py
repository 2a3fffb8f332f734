"""Compute of a method's training in FLOPs: the same on every machine."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from selfdistill.data import Loader, Splits, default_augmentation
from selfdistill.method.networks import Teacher
from selfdistill.methods import parse_method
from selfdistill.step import memory
from selfdistill.study.study import BASELINE_METHOD
from selfdistill.terms import Progress
from selfdistill.train import networks as teacher
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import untrained_distiller


def relative_compute(config: RunConfig, splits: Splits) -> float:
    """Floating-point operations of a run, relative to plain cross-entropy's with as many steps, to a tenth.

    Counted over the matrix products and convolutions of one whole step, forward and backward, with all its
    passes, heads and teachers. A teacher that is trained first is part of the price; one that is there is not.
    """
    price = lru_cache(lambda asked: step_flops(asked, splits))
    return round(_price(config, price) / price(replace(config, method=BASELINE_METHOD)), 1)


def step_flops(config: RunConfig, splits: Splits) -> int:
    """Floating-point operations of one training step, its backward pass included."""
    method = parse_method(config.method)
    loader = Loader(
        splits.train,
        config.batch_size,
        augment=default_augmentation(splits),
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


def longer_rows(compute: Mapping[str, float]) -> dict[str, float]:
    """Rows of plain cross-entropy with the compute of each method that costs more, and what that is.

    Ratios come rounded to a tenth, so that methods that cost about the same share a row.
    """
    return {f"{BASELINE_METHOD} at {ratio:.1f}x": ratio for ratio in sorted({*compute.values()}) if ratio > 1}


def _price(config: RunConfig, price: Callable[[RunConfig], int]) -> int:
    return price(config) + sum(_price(each, price) for each in _trained_first(config))


def _trained_first(config: RunConfig) -> Iterator[RunConfig]:
    """The runs that make this one's teachers."""
    for role in parse_method(config.method).networks.values():
        if isinstance(role, Teacher) and isinstance(planned := teacher.plan(role, config), RunConfig):
            yield planned
