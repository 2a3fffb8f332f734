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
from selfdistill.data import Augmentation, Loader, Splits
from selfdistill.distiller import Distiller
from selfdistill.errors import UserError
from selfdistill.measure.accuracy import evaluate
from selfdistill.terms import Batch, Clock
from selfdistill.train import checkpoint
from selfdistill.train.config import RunConfig
from selfdistill.train.display import Display
from selfdistill.train.optimiser import make_optimiser
from selfdistill.train.schedule import learning_rate

WARM = 3  # first steps of a run that its step time leaves out


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
        self.run, self.optimiser = fabric.setup(distiller, make_optimiser(distiller, config))
        self.facts = distiller.facts(loader.batch_size // loader.ranks)
        self.memories = memory.start(distiller.terms, self.facts)
        self.epoch = 0
        self.log: list[dict[str, Any]] = []
        self.step_seconds: list[float] = []

    def fit(self) -> list[dict[str, Any]]:
        """Train to the last epoch; give the log's rows."""
        self.display.start(self.config.method, self.config.epochs, len(self.loader))
        try:
            while self.epoch < self.config.epochs:
                self._end_epoch(self._train_epoch())
        finally:
            self.display.end()
        return self.log

    def state(self) -> dict[str, Any]:
        """Everything that must survive: weights, heads, optimiser, memories, random streams, place, log."""
        return {
            "config": self.config.to_json(),
            "distiller": {k: v for k, v in self.distiller.state_dict().items() if not k.startswith("networks.")},
            "optimiser": self.optimiser.state_dict(),
            "memories": self.memories,
            "random": checkpoint.random_state(),
            "epoch": self.epoch,
            "log": self.log,
            "step_seconds": self.step_seconds,
        }

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken."""
        missing, strange = self.distiller.load_state_dict(state["distiller"], strict=False)
        if strange or [key for key in missing if not key.startswith("networks.")]:
            raise UserError(f"the checkpoint in {self.folder} is of another model; choose another --out")
        self.optimiser.load_state_dict(state["optimiser"])
        self.memories = self.fabric.to_device(state["memories"])
        checkpoint.set_random_state(state["random"])
        self.epoch, self.log, self.step_seconds = state["epoch"], state["log"], state["step_seconds"]

    def _train_epoch(self) -> dict[str, Any]:
        """Make the steps of one epoch; give its row of the log."""
        self.run.train()
        self.memories = memory.renewed(self.distiller.terms, self.facts, self.memories)
        start, sums = (
            time.perf_counter(),
            torch.zeros(len(self.distiller.terms) + 1, device=self.fabric.device),
        )
        for number, batch in enumerate(self.loader.epoch(self.epoch)):
            sums += self._step(batch, self.epoch * len(self.loader) + number)  # no value is read before the end
            self.display.step()
        seconds = time.perf_counter() - start
        *means, right = (sums / len(self.loader)).tolist()
        losses = dict(zip(self.distiller.terms, means, strict=True))
        self._require_finite(losses)
        images = len(self.loader) * self.loader.batch_size
        return {
            "losses": losses,
            "train_top1": 100 * right,
            "seconds": seconds,
            "images_per_second": images / seconds,
        }

    def _step(self, batch: Batch, step: int) -> Tensor:
        """Make one step; give its losses and the share of rows it had right. -> [terms + 1]."""
        start = time.perf_counter()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(step)
        with self._precision():
            made = self.run(batch, self._clock(step), self.memories)
        self.optimiser.zero_grad()
        self.fabric.backward(self.distiller.total(made.losses))
        self.optimiser.step()
        self.memories = memory.commit(self.memories, made.remembered)
        self.step_seconds.append(time.perf_counter() - start)
        right = (made.logits.argmax(dim=1) == batch.labels).float().mean()
        return torch.stack([*(loss.detach() for loss in made.losses.values()), right])

    def _end_epoch(self, row: dict[str, Any]) -> None:
        """Measure, write the row and the checkpoint, tell the display."""
        rate, self.epoch = self._rate(self.epoch * len(self.loader)), self.epoch + 1
        row = {"epoch": self.epoch, "lr": rate, **row, **self._validated()}
        self.log.append(row)
        if self.fabric.is_global_zero:
            checkpoint.save(self.folder, self.state())
            (self.folder / "log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in self.log))
        self.display.epoch(row)

    def _validated(self) -> dict[str, float]:
        """Accuracy on the images held out; the test set is not looked at before the end."""
        if self.splits.validation is None:
            return {}
        found = evaluate(self.distiller.student, self.splits.validation, self.augment, device=self.fabric.device)
        return {"validation_top1": found["top1"]}

    def _rate(self, step: int) -> float:
        return learning_rate(step, self.config.epochs * len(self.loader), len(self.loader), self.config)

    def _clock(self, step: int) -> Clock:
        steps = len(self.loader)
        times = (step // steps, self.config.epochs, step / (self.config.epochs * steps))
        return Clock(*(torch.tensor(float(each), device=self.fabric.device) for each in times))

    def _precision(self) -> AbstractContextManager:
        """Around the passes only: the distiller's terms leave autocast by themselves."""
        if self.config.precision == "bf16":
            return torch.autocast(self.fabric.device.type, torch.bfloat16)
        return nullcontext()

    def _require_finite(self, means: dict[str, float]) -> None:
        for name, mean in means.items():
            if not torch.tensor(mean).isfinite():
                raise UserError(
                    f"the loss of the term {name!r} of {self.config.method} became {mean} in epoch {self.epoch + 1}; "
                    f"try a lower --lr than {self.config.lr} or a --warmup; {self.folder} keeps the epoch before"
                )


def median_step_ms(seconds: list[float]) -> float:
    """Median milliseconds of a step, the run's first few left out."""
    return 1000 * float(torch.tensor(seconds[WARM:] or seconds).median())
