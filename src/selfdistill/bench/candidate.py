"""Timed training steps of a method."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

from selfdistill.data.batch import Batch
from selfdistill.data.kinds import AnySplits
from selfdistill.methods import parse_method
from selfdistill.metrics.cost import flops
from selfdistill.step import memory
from selfdistill.terms import ModelOutputs
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import resolve_networks
from selfdistill.train.preflight import step_bytes
from selfdistill.train.run import make_trainer

WARMUP_STEPS = 2  # untimed steps first: the optimizer allocates its state, caches fill


class Seconds(NamedTuple):
    """Seconds of one step."""

    step: float  # total: batch, forward passes, losses, backward, optimizer
    data: float  # part of `step` spent waiting for the batch
    terms: float  # the method's losses and heads alone, forward and backward, timed separately


class Candidate:
    """Training of one method, one step at a time; `label` is its name in the table.

    The steps are those of a run, but with untrained teachers, which take as long as trained ones. Raises `UserError`
    if method, model and data do not fit.
    """

    def __init__(self, label: str, config: RunConfig, splits: AnySplits):
        self.label, method = label, parse_method(config.method)
        networks = resolve_networks(method, config, splits)
        self.trainer = make_trainer(config, method, splits, networks, Path(), Listener())
        self.trainer.train_step.run.train()
        self._batches, self._number = self._endless_batches(), 0
        self.warmup = sum(self.step()[0] for _ in range(WARMUP_STEPS))  # seconds, with the time to compile
        self._recorded, self._memories = self._record(), deepcopy(self.trainer.train_step.memory.slots[0])

    def step(self) -> tuple[float, float]:
        """Run a training step; return its seconds, and the seconds spent waiting for the batch."""
        start = self._now()
        batch = next(self._batches)
        loaded = self._now()
        self.trainer.train_step.step(batch, self.trainer.progress(self._number), self.trainer.rate(self._number))
        self._number += 1
        return self._now() - start, loaded - start

    def terms_alone(self) -> float:
        """Time the terms on recorded outputs of the student, forward and backward to these outputs; in seconds."""
        distiller = self.trainer.distiller
        batch, anchor, views = self._recorded
        distiller.zero_grad()
        start = self._now()
        made = distiller.compute_losses(batch, anchor, views, self.trainer.progress(self._number), self._memories)
        losses = {name: loss for name, loss in made.losses.items() if name != "task"}
        if losses and (total := distiller.total(losses)).requires_grad:
            total.backward()
        memory.commit(self._memories, made.remembered)  # in a copy, because tables are updated in place
        return self._now() - start

    def time_step(self) -> Seconds:
        """Time a training step and the terms alone."""
        return Seconds(*self.step(), self.terms_alone())

    def flops(self) -> int:
        """Count the FLOPs of a step: convolutions and matrix products."""
        return flops(self.step)

    def bytes(self) -> int:
        """Return the peak memory of a step in bytes: weights, optimizer, memories and activations."""
        return step_bytes(self.trainer, self.step)

    def _endless_batches(self) -> Iterator[tuple[Batch, ...]]:
        return chain.from_iterable(map(self.trainer.batches, count()))

    def _record(self) -> tuple[Batch, ModelOutputs, Mapping[str, ModelOutputs]]:
        """Return a batch and the outputs of its passes, as leaves with a gradient to accumulate into."""
        batch = next(self.trainer.loader.epoch(0))
        with torch.no_grad():
            anchor, views = self.trainer.distiller.passes(batch)
        with_grad = {view.name for view in self.trainer.distiller.views if view.grad}
        return batch, _leaves(anchor), {k: _leaves(v) if k in with_grad else v for k, v in views.items()}

    def _now(self) -> float:
        if (device := self.trainer.fabric.device).type != "cpu":
            torch.accelerator.synchronize(device)
        return perf_counter()


def _leaves(outputs: ModelOutputs) -> ModelOutputs:
    embedding = None if outputs.embedding_or_none is None else _leaf(outputs.embedding)
    features = {name: _leaf(each) for name, each in outputs.features.items()}
    return outputs._replace(logits=_leaf(outputs.logits), embedding_or_none=embedding, features=features)


def _leaf(output: Tensor) -> Tensor:
    leaf = output.detach().clone().requires_grad_()
    leaf.grad = torch.zeros_like(leaf)
    return leaf
