"""The training loop."""

import json
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from selfdistill import memory
from selfdistill.beside import Beside
from selfdistill.data import Augmentation, Loader, Splits
from selfdistill.distiller import Distiller
from selfdistill.errors import UserError
from selfdistill.measure.accuracy import accuracy, predict
from selfdistill.roles import Teacher
from selfdistill.terms import Batch, Clock
from selfdistill.train import checkpoint
from selfdistill.train.config import RunConfig
from selfdistill.train.display import Display
from selfdistill.train.files import write_whole
from selfdistill.train.momenta import TwoMomenta
from selfdistill.train.optimiser import make_optimiser
from selfdistill.train.schedule import learning_rate
from selfdistill.train.stopwatch import Stopwatch

LOG = "log.jsonl"


class Trainer:
    """Optimiser, schedule, log and checkpoint around a distiller's steps.

    `folder` receives log.jsonl and last.ckpt. What must survive an interruption is `state()`.
    """

    def __init__(
        self,
        distiller: Distiller,
        loader: Loader,
        splits: Splits,
        augment: Augmentation,
        config: RunConfig,
        fabric: Fabric,
        folder: Path,
        display: Display,
    ):
        self.distiller, self.loader, self.splits, self.augment = distiller, loader, splits, augment
        self.config, self.fabric, self.folder, self.display = config, fabric, folder, display
        self.run, self.optimiser = fabric.setup(distiller, make_optimiser(distiller, config, distiller.method.gap))
        self.facts = distiller.facts(loader.batch_size // loader.ranks, len(loader.images))
        self.memories = memory.start(distiller.terms, self.facts)
        self.stopwatch = Stopwatch(fabric.device)
        self.epoch = 0
        self.log: list[dict[str, Any]] = []

    def fit(self) -> list[dict[str, Any]]:
        """Train to the last epoch; give the log's rows."""
        title = f"{self.config.method}, {self.config.model}, seed {self.config.seed}"
        self.display.start(title, self.config.epochs, len(self.loader))
        try:
            while self.epoch < self.config.epochs:
                self._end_epoch(self._train_epoch())
        finally:
            self.display.end()
        return self.log

    def state(self) -> dict[str, Any]:
        """Everything that must survive. Teachers are left out: they are files of their own."""
        own = {"memories": self.memories, "random": checkpoint.random_state()}
        return {
            "config": self.config.to_json(),
            "student": self.distiller.student.state_dict(),
            "terms": self.distiller.terms.state_dict(),
            "networks": {name: each.state_dict() for name, each in self._living_networks()},
            "optimiser": self.optimiser.state_dict(),
            "ranks": checkpoint.of_each_rank(own),
            "epoch": self.epoch,
            "step": self.epoch * len(self.loader),
            "log": self.log,
            "step_seconds": self.stopwatch.seconds,
        }

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken. Raises `UserError` for a state of another run."""
        if state["config"] != self.config.to_json() or len(state["ranks"]) != self.fabric.world_size:
            raise UserError(
                f"the checkpoint in {self.folder} is of another configuration or number of processes "
                f"({len(state['ranks'])}); start the run again in another --out"
            )
        self.distiller.student.load_state_dict(state["student"])
        self.distiller.terms.load_state_dict(state["terms"])
        for name, each in self._living_networks():
            each.load_state_dict(state["networks"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        own = state["ranks"][self.fabric.global_rank]
        self.memories = self.fabric.to_device(own["memories"])
        checkpoint.set_random_state(own["random"])
        self.epoch, self.log, self.stopwatch.seconds = state["epoch"], state["log"], state["step_seconds"]

    def _living_networks(self) -> list[tuple[str, Beside]]:
        """The networks beside the student that change; teachers are files of their own."""
        roles = self.distiller.method.networks
        return [(name, each) for name, each in self.distiller.networks.items() if not isinstance(roles[name], Teacher)]

    def _train_epoch(self) -> dict[str, Any]:
        """Make the steps of one epoch; give what they showed."""
        self.run.train()
        self.memories = memory.renewed(self.distiller.terms, self.facts, self.memories)
        start, shown, names = time.perf_counter(), [], []
        for number, batch in enumerate(self.loader.epoch(self.epoch), self.epoch * len(self.loader)):
            with self.stopwatch.step(number):
                losses, right = self.step(batch, number)
            shown.append(torch.stack([*losses.values(), right]))
            names = list(losses)
            self.display.step()
        table = torch.stack(shown).cpu()  # [steps, terms + 1]; no value is read off the device before this
        seconds = time.perf_counter() - start
        self._require_finite(table[:, :-1], names)
        *means, share = table.mean(dim=0).tolist()
        speed = {"seconds": seconds, "images_per_second": len(table) * self.loader.batch_size / seconds}
        return {"losses": dict(zip(names, means, strict=True)), "train_top1": 100 * share, **speed}

    def step(self, batch: Batch, number: int) -> tuple[dict[str, Tensor], Tensor]:
        """Make one step; give its losses by name, and the share of rows that were right."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(number)
        with self._precision():
            made = self.run(batch, self.clock(number), self.memories)
        self._descend(made.losses)
        self.distiller.after_step()
        self.memories = memory.commit(self.memories, made.remembered)
        right = (made.logits.argmax(dim=1) == batch.labels).float().mean()
        return {name: loss.detach() for name, loss in made.losses.items()}, right

    def _descend(self, losses: dict[str, Tensor]) -> None:
        """Take the optimiser's step, with one gradient or with two."""
        self.optimiser.zero_grad()
        if isinstance(inner := self.optimiser.optimizer, TwoMomenta):
            learn, mimic = self.distiller.in_two(losses)
            inner.backward(learn, mimic)
        else:
            self.fabric.backward(self.distiller.total(losses))
        self.optimiser.step()

    def _end_epoch(self, shown: dict[str, Any]) -> None:
        """Measure, write the log and the checkpoint, tell the display."""
        rate, self.epoch = self._rate(self.epoch * len(self.loader)), self.epoch + 1
        row = {"epoch": self.epoch, "lr": rate, **shown, **self._validated()}
        self.log.append(row)
        state = self.state()
        if self.fabric.is_global_zero:
            checkpoint.save(self.folder, state)
            lines = "".join(json.dumps(each) + "\n" for each in self.log)
            write_whole(self.folder / LOG, lambda beside: beside.write_text(lines))
        self.display.epoch(row)

    def _validated(self) -> dict[str, float]:
        """Accuracy on the images held out; the test set is not looked at before the end."""
        if self.splits.validation is None:
            return {}
        shown = predict(self.distiller.deployed(), self.splits.validation, self.augment, device=self.fabric.device)
        return {"validation_top1": accuracy(*shown)}

    def _rate(self, step: int) -> float:
        return learning_rate(step, self.config.epochs * len(self.loader), len(self.loader), self.config)

    def clock(self, step: int) -> Clock:
        """Where a step stands, as tensors: numbers would be compiled in, and a copy from the host be waited for."""
        steps = len(self.loader)
        times = (step // steps, self.config.epochs, step / (self.config.epochs * steps))
        return Clock(*(torch.full((), float(each), device=self.fabric.device) for each in times))

    def _precision(self) -> AbstractContextManager:
        """Autocast around the passes only: the distiller's terms leave it by themselves."""
        if self.config.precision == "bf16":
            return torch.autocast(self.fabric.device.type, torch.bfloat16)
        return nullcontext()

    def _require_finite(self, losses: Tensor, names: list[str]) -> None:
        """Raise `UserError` naming the first step and loss, of [steps, losses], that is no number."""
        if losses.isfinite().all():
            return
        step, term = (~losses.isfinite()).nonzero()[0].tolist()
        raise UserError(
            f"the loss of the term {names[term]!r} of {self.config.method} became "
            f"{losses[step, term].item()} in epoch {self.epoch + 1}, step {step + 1} of {len(losses)}; "
            f"try a lower --lr than {self.config.lr:g}, or a --warmup"
        )
