"""A method at work: real training steps of it, to be timed."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor, nn

from selfdistill import memory
from selfdistill.data import Splits
from selfdistill.measure.cost import flops, held_bytes, peak_bytes
from selfdistill.methods import method as named
from selfdistill.models import create
from selfdistill.roles import Peer, Role, Teacher
from selfdistill.terms import Batch, Outputs
from selfdistill.train import teacher
from selfdistill.train.config import RunConfig
from selfdistill.train.display import Silent
from selfdistill.train.run import make_trainer

WARM = 2  # steps before the first that counts: the optimiser makes its state, caches fill


class Seconds(NamedTuple):
    """What one step took."""

    step: float  # in whole: the batch, the passes, the losses, backward, the optimiser
    data: float  # of it, until the batch was there
    terms: float  # the method's own losses and heads alone, forward and backward, made apart


class Contender:
    """One method's training on a data set, a step at a time; `label` is what a table calls it.

    It makes the steps that a run makes, on untrained networks: what a teacher says does not change how long it
    takes. Raises `UserError` where method, model and data do not fit.
    """

    def __init__(self, label: str, config: RunConfig, splits: Splits):
        self.label, method = label, named(config.method)
        cast = {name: made for name, role in method.networks.items() if (made := _stand_in(role, config, splits))}
        self.trainer = make_trainer(config, method, splits, cast, Path(), Silent())
        self.trainer.descent.run.train()
        self._batches, self._number = self._endless(), 0
        for _ in range(WARM):
            self.step()
        self._recorded, self._memories = self._record(), deepcopy(self.trainer.descent.memories)

    def step(self) -> tuple[float, float]:
        """Make a step of training; give its seconds, and those until its batch was there."""
        start = self._now()
        batch = next(self._batches)
        there = self._now()
        self.trainer.descent.step(batch, self.trainer.clock(self._number), self.trainer.rate(self._number))
        self._number += 1
        return self._now() - start, there - start

    def terms_alone(self) -> float:
        """Seconds of the terms without the student: what they make of its recorded outputs, and backward to there."""
        distiller = self.trainer.distiller
        batch, anchor, views = self._recorded
        distiller.zero_grad()
        start = self._now()
        made = distiller.judge(batch, anchor, views, self.trainer.clock(self._number), self._memories)
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
        """Bytes at the peak of a step: weights, optimiser, memories, and what the step makes."""
        trainer = self.trainer
        states = (each for state in trainer.descent.optimiser.state.values() for each in state.values())
        tensors = chain(trainer.distiller.parameters(), trainer.distiller.buffers(), states)
        held = held_bytes(
            each for each in chain(tensors, memory.leaves(trainer.descent.memories)) if isinstance(each, Tensor)
        )
        trainer.descent.optimiser.zero_grad()  # gradients are made by the step
        return held + peak_bytes(self.step)

    def _endless(self) -> Iterator[Batch]:
        return chain.from_iterable(map(self.trainer.loader.epoch, count()))

    def _record(self) -> tuple[Batch, Outputs, Mapping[str, Outputs]]:
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


def _leaves(shown: Outputs) -> Outputs:
    embedding = None if shown.embedding is None else _leaf(shown.embedding)
    return Outputs(_leaf(shown.logits), embedding, {name: _leaf(each) for name, each in shown.features.items()})


def _leaf(shown: Tensor) -> Tensor:
    leaf = shown.detach().clone().requires_grad_()
    leaf.grad = torch.zeros_like(leaf)
    return leaf


def _stand_in(role: Role, config: RunConfig, splits: Splits) -> nn.Module | None:
    """An untrained network for a role that is not made of the student."""
    if isinstance(role, Teacher):
        planned = teacher.plan(role, config)
        return teacher.load_run(planned)[0] if isinstance(planned, Path) else _create(planned.model, splits)
    return _create(role.name, splits) if isinstance(role, Peer) and role.name else None


def _create(model: str, splits: Splits) -> nn.Module:
    return create(model, len(splits.classes), size=splits.train.size)
