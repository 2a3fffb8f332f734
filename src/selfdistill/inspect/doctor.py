"""Whether a run will work, and what to change where it will not: looked at before it starts."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from selfdistill import data
from selfdistill.data import Splits
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.inspect.plan import plan
from selfdistill.method import Method
from selfdistill.method.networks import Teacher
from selfdistill.methods import parse_method
from selfdistill.metrics.cost import parameters
from selfdistill.models import create
from selfdistill.train import networks as teacher
from selfdistill.train import preflight
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.progress import Silent
from selfdistill.train.preflight import Finding
from selfdistill.train.run import load_data, make_trainer
from selfdistill.train.stand_in import stand_ins
from selfdistill.train.trainer import Trainer

HEADINGS = {"passes": "passes", "taps": "taps", "dropped": "taps", "adds": "heads", "needs": "needs"}  # of a plan


def check(config: RunConfig, folder: str | Path = "runs") -> list[Finding]:
    """Look at a run's data, model, method, batches, first step and room, up to the first that stops the others.

    `folder` is where the run would lie. Nothing is written, and no network is kept.
    """
    run, found = PlannedRun(config, Path(folder)), []
    for name, look in LOOKS.items():
        try:
            found += look(run)
        except UserError as error:
            return [*found, Finding(name, False, str(error))]
    return found


@dataclass
class PlannedRun:
    """A run that may be made."""

    config: RunConfig
    folder: Path

    @cached_property
    def method(self) -> Method:
        """What it trains with."""
        return parse_method(self.config.method)

    @cached_property
    def splits(self) -> Splits:
        """What it trains on."""
        return load_data(self.config)

    @cached_property
    def student(self) -> nn.Module:
        """An untrained copy of what it trains."""
        config = self.config
        return create(config.model, len(self.splits.classes), size=self.splits.train.size, weights=config.weights)

    @cached_property
    def images(self) -> Tensor:
        """Two images as the student would see them. [2, 3, H, W]."""
        return data.default_augmentation(self.splits).normalize(self.splits.train.images[:2])

    def trainer(self, config: RunConfig) -> Trainer:
        """Its loop on one of its devices, with untrained networks in the roles of trained ones."""
        devices = config.devices * config.nodes
        config = replace(config, devices=1, nodes=1, batch_size=config.batch_size // devices)
        cast = stand_ins(self.method, config, self.splits)
        return make_trainer(config, self.method, self.splits, cast, self.folder, Silent())


def _data(run: PlannedRun) -> list[Finding]:
    splits, counts = run.splits, torch.bincount(run.splits.train.labels)
    held = f"{len(splits.validation):,} validation, " if splits.validation else ""
    words = (
        f"{len(splits.train):,} training, {held}{len(splits.test):,} test images, {splits.train.size} pixels a side; "
        f"{len(splits.classes)} classes of {counts.min():,} to {counts.max():,} training images"
    )
    return [Finding("data", True, words)]


def _model(run: PlannedRun) -> list[Finding]:
    found = read_anatomy(run.student, run.images, run.config.classifier)
    stages = ", ".join(each.path for each in found.stages) or "no stages"
    head = found.classifier or "no classifier found (pass --classifier where a method reads it)"
    words = f"{run.config.model}, {parameters(run.student):,} parameters; {stages}; {head}"
    idle = (
        f"; {len(found.params_without_grad)} of its parameters get no gradient, as {found.params_without_grad[0]}"
        if found.params_without_grad
        else ""
    )
    return [Finding("model", True, words + idle)]


def _method(run: PlannedRun) -> list[Finding]:
    cast = stand_ins(run.method, run.config, run.splits)
    made = plan(run.method, run.student, run.images, cast, run.config.classifier)
    return [
        *(Finding(HEADINGS[heading], True, words) for heading, words in made.lines if heading in HEADINGS),
        *(_teacher(name, role, run) for name, role in run.method.networks.items() if isinstance(role, Teacher)),
    ]


def _teacher(name: str, role: Teacher, run: PlannedRun) -> Finding:
    planned = teacher.plan(role, run.config)
    if isinstance(planned, Path):
        teacher.require_classes(teacher.load_run(planned)[1], run.splits, planned)
        return Finding(name, True, f"the run in {planned}")
    return Finding(name, True, f"{planned.model} by {planned.method}, trained first where it is not there yet")


def _batches(run: PlannedRun) -> list[Finding]:
    config, made = run.config, run.trainer(run.config)
    rows = made.loader.batch_size * config.devices * config.nodes
    short = f", fewer than the {config.batch_size} asked for" if rows < config.batch_size else ""
    steps = max(len(run.splits.train) // rows, 1)
    return [Finding("batches", True, f"{steps:,} steps an epoch of {rows} images{short}, {config.epochs} epochs")]


def _step(run: PlannedRun) -> list[Finding]:
    """Make the first step of a run of small batches, and see that it moves all there is to train."""
    made = run.trainer(replace(run.config, batch_size=preflight.few(run.trainer(run.config))))
    losses = preflight.first_step(made)
    values = ", ".join(f"{name} {loss.item():.3g}" for name, loss in losses.items())
    if not all(loss.isfinite() for loss in losses.values()):
        raise UserError(
            f"a first step gives {values}, which is no number; look at the images, or the method's arguments"
        )
    idle = [name for name, each in made.distiller.terms.named_parameters() if each.requires_grad and each.grad is None]
    if idle:
        raise UserError(f"nothing in a first step trains {idle[0]}; a term's loss must use all that its build makes")
    return [Finding("step", True, values)]


def _room(run: PlannedRun) -> list[Finding]:
    return preflight.room(run.trainer, run.config, run.folder)


LOOKS: dict[str, Callable[[PlannedRun], list[Finding]]] = {
    "data": _data,
    "model": _model,
    "method": _method,
    "batches": _batches,
    "step": _step,
    "memory": _room,
}
