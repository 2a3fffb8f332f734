"""A method at work: real training steps of it, to be timed."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

from selfdistill.data import Splits
from selfdistill.data.batch import Batch
from selfdistill.methods import parse_method
from selfdistill.metrics.cost import flops
from selfdistill.step import memory
from selfdistill.terms import ModelOutputs
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import resolve_networks
from selfdistill.train.preflight import step_bytes
from selfdistill.train.run import make_trainer

WARM = 2  # steps before the first that counts: the optimizer makes its state, caches fill


class Seconds(NamedTuple):
    """Seconds of one step."""

    step: float  # in whole: the batch, the passes, the losses, backward, the optimizer
    data: float  # of it, until the batch was there
    terms: float  # the method's own losses and heads alone, forward and backward, made apart


class Candidate:
    """One method's training on a data set, a step at a time; `label` is what a table calls it.

    It makes the steps that a run makes, on untrained networks: what a teacher says does not change how long it
    takes. Raises `UserError` where method, model and data do not fit.
    """

    def __init__(self, label: str, config: RunConfig, splits: Splits):
        self.label, method = label, parse_method(config.method)
        networks = resolve_networks(method, config, splits)
        self.trainer = make_trainer(config, method, splits, networks, Path(), Listener())
        self.trainer.train_step.run.train()
        self._batches, self._number = self._endless(), 0
        for _ in range(WARM):
            self.step()
        self._recorded, self._memories = self._record(), deepcopy(self.trainer.train_step.memory.slots[0])

    def step(self) -> tuple[float, float]:
        """Make a step of training; give its seconds, and those until its batch was there."""
        start = self._now()
        batch = next(self._batches)
        there = self._now()
        self.trainer.train_step.step(batch, self.trainer.progress(self._number), self.trainer.rate(self._number))
        self._number += 1
        return self._now() - start, there - start

    def terms_alone(self) -> float:
        """Seconds of the terms without the student: what they make of its recorded outputs, and backward to there."""
        distiller = self.trainer.distiller
        batch, anchor, views = self._recorded
        distiller.zero_grad()
        start = self._now()
        made = distiller.compute_losses(batch, anchor, views, self.trainer.progress(self._number), self._memories)
        losses = {name: loss for name, loss in made.losses.items() if name != "task"}
        if losses and (total := distiller.total(losses)).requires_grad:
            total.backward()
        memory.commit(self._memories, made.remembered)  # a copy's: tables are written where they lie
        return self._now() - start

    def timed(self) -> Seconds:
        """Make a step, and the terms alone."""
        return Seconds(*self.step(), self.terms_alone())

    def flops(self) -> int:
        """Floating-point operations of a step, by its convolutions and products of matrices."""
        return flops(self.step)

    def bytes(self) -> int:
        """Bytes at the peak of a step: weights, optimizer, memories, and what the step makes."""
        return step_bytes(self.trainer, self.step)

    def _endless(self) -> Iterator[tuple[Batch, ...]]:
        return chain.from_iterable(map(self.trainer.batches, count()))

    def _record(self) -> tuple[Batch, ModelOutputs, Mapping[str, ModelOutputs]]:
        """A batch and what its passes showed, as leaves whose gradients are added up as the student's would be."""
        batch = next(self.trainer.loader.epoch(0))
        with torch.no_grad():
            anchor, views = self.trainer.distiller.passes(batch)
        with_grad = {view.name for view in self.trainer.distiller.views if view.grad}
        return batch, _leaves(anchor), {k: _leaves(v) if k in with_grad else v for k, v in views.items()}

    def _now(self) -> float:
        if (device := self.trainer.fabric.device).type != "cpu":
            torch.accelerator.synchronize(device)
        return perf_counter()


def _leaves(shown: ModelOutputs) -> ModelOutputs:
    embedding = None if shown.embedding_or_none is None else _leaf(shown.embedding)
    return ModelOutputs(_leaf(shown.logits), embedding, {name: _leaf(each) for name, each in shown.features.items()})


def _leaf(shown: Tensor) -> Tensor:
    leaf = shown.detach().clone().requires_grad_()
    leaf.grad = torch.zeros_like(leaf)
    return leaf
