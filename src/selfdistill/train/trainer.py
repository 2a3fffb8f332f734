"""The training loop."""

import json
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities import move_data_to_device

from selfdistill import distributed
from selfdistill.data.batch import Batch
from selfdistill.data.kinds import AnyAugmentation, AnyImages, AnyLoader, AnySplits
from selfdistill.errors import Interrupted, UserError
from selfdistill.files import write_atomic
from selfdistill.metrics.task_scores import evaluate_task
from selfdistill.records import LOG, AnyEpoch
from selfdistill.rng import random_key
from selfdistill.step import Distiller, memory
from selfdistill.terms import Progress
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.epoch_stats import EpochStats
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.monitor.nonfinite import nonfinite_step, nonfinite_weights
from selfdistill.train.monitor.signals import Signals
from selfdistill.train.monitor.step_timer import Stopwatch
from selfdistill.train.optim.balance import GradientBalance
from selfdistill.train.optim.freezing import FrozenLayers
from selfdistill.train.optim.schedule import learning_rate
from selfdistill.train.persist import checkpoint, content
from selfdistill.train.persist.best import Best
from selfdistill.train.step import TrainStep

SAVE_EVERY = 600.0  # seconds between checkpoints within an epoch
EPOCH_SAVE_EVERY = 1.0  # minimum seconds between checkpoints after epochs: a checkpoint takes as long as a small epoch


class Trainer:
    """The training loop: learning rate, log, validation and checkpoints around the steps.

    `parts` has one loader per gradient accumulation step. The loop writes log.jsonl to `folder` after each epoch, and
    last.ckpt after epochs, at most once a second, and every `save_every` seconds within an epoch. `state_dict()` is
    all that resuming needs. `every` is the number of steps between checks of losses and signals: a check syncs with
    the GPU.
    """

    def __init__(
        self,
        distiller: Distiller,
        parts: Sequence[AnyLoader],
        splits: AnySplits,
        augment: AnyAugmentation,
        config: RunConfig,
        fabric: Fabric,
        folder: Path,
        listener: Listener,
        save_every: float = SAVE_EVERY,
    ):
        self.distiller, self.parts, self.splits, self.augment = distiller, parts, splits, augment
        self.loader = loader = parts[0]  # all parts have the same length
        self.config, self.fabric, self.folder, self.listener = config, fabric, folder, listener
        self.task = config.resolved_task
        tables = replace(config.tables, folder=folder)
        info = distiller.training_info(loader.batch_size // loader.ranks, len(splits.train), tables)
        self.steps = config.steps_of(len(loader))  # of the run
        self.epochs = ceil(self.steps / len(loader))  # begun
        _require_reached(config, self.steps, len(loader))
        self.frozen = FrozenLayers(distiller, config)
        self.balance = None if config.balance is None else GradientBalance(distiller, config.balance, len(loader))
        self.train_step = TrainStep(distiller, config, fabric, info, self.balance)
        self.frozen.start_epoch(0)
        self.stopwatch = Stopwatch(fabric.device)
        self.every = 1 if fabric.device.type == "cpu" else 16
        self.save_every, self.saved = save_every, time.monotonic()
        self.epoch, self.step = 0, 0  # completed epochs, and completed steps of the current one
        self.saved_at: tuple[int, int] | None = None  # epoch and step of the latest checkpoint
        self.epoch_stats, self.seconds = EpochStats(), 0.0  # of the current epoch
        self.log: list[AnyEpoch] = []
        self.best = Best()
        self.done = False

    def fit(self) -> list[AnyEpoch]:
        """Train to the last epoch, or until patience ends, and return the rows of the log.

        Raises `UserError` for a non-finite loss, and `Interrupted` after a signal.
        """
        title = f"{self.config.method}, {self.config.model}, {self.config.repetition}"
        self.listener.on_run_start(title, self.epochs, len(self.loader))
        try:
            with Signals() as signals:
                while not self.done:
                    self._train_epoch(signals)
                    self._end_epoch()
                    self._stop_if(signals.caught)
        finally:
            self.listener.on_run_end()
        return self.log

    def state_dict(self) -> checkpoint.State:
        """Gather the state for a checkpoint; all ranks must call this."""
        terms, memories = self.distiller.terms, move_data_to_device(self.train_step.memory.slots, "cpu")
        own = {
            "memories": [memory.select_scope(terms, each, "rank") for each in memories],
            "random": checkpoint.random_state(self.fabric.device),
            "tally": self.epoch_stats.state_dict(),
        }
        return {
            "config": self.config.to_json(),
            **self.train_step.state_dict(),
            "memories": memory.select_scope(terms, memories[0], "run"),
            "ranks": distributed.all_gather_object(own),
            "epoch": self.epoch,
            "step": self.step,
            "log": self.log,
            "best": self.best.state_dict(),
            "seconds": self.seconds,
            "step_seconds": self.stopwatch.seconds,
            **({} if self.balance is None else {"balance": self.balance.state_dict()}),
        }

    def require_own(self, state: checkpoint.State) -> None:
        """Raise `checkpoint.CheckpointError` for the state of another run, or one that does not fit."""
        content.require_kinds(state)
        if not self._is_of_this_run(state["config"]) or len(state["ranks"]) != self.fabric.world_size:
            raise checkpoint.CheckpointError("it has another configuration or number of processes")
        content.require_progress(state, self.epochs, len(self.loader))
        self.train_step.require_own(state)
        if state["best"]["epoch"]:
            content.require_alike(state["best"]["weights"], state["student"], "best.weights")
        if self.balance is not None:
            content.require_balance(state, self.balance.norms, self.distiller.weights)
        for each in state["ranks"]:
            content.require_random(each["random"])

    def _is_of_this_run(self, config: dict[str, object]) -> bool:
        try:
            return RunConfig.from_json(config).to_json() == self.config.to_json()
        except UserError:
            return False

    def load_state_dict(self, state: checkpoint.State) -> None:
        """Restore a state, from which training continues."""
        own = state["ranks"][self.fabric.global_rank]
        self.train_step.load_state_dict(state, [{**each, **state["memories"]} for each in own["memories"]])
        self.epoch_stats.load_state_dict(own["tally"], self.fabric.device)
        self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.log, self.stopwatch.seconds = state["log"], state["step_seconds"]
        self.best.load_state_dict(state["best"])
        if self.balance is not None:
            self.balance.load_state_dict(state["balance"])
        checkpoint.set_random_state(own["random"], self.fabric.device)
        self._write_log()  # the file may be an epoch behind
        place = f"epoch {self.epoch + 1}, step {self.step + 1}"
        self.done = self._is_done()
        self.listener.on_note(f"resuming at {'the end' if self.done else place}: {self.folder / checkpoint.LAST}")

    def save(self) -> None:
        """Write the checkpoint; all ranks must call this.

        Raises `UserError` on all ranks if the file cannot be written or a weight is non-finite.
        """
        if not distributed.all_true(self.train_step.weights_finite()):
            raise nonfinite_weights(self.config, self._place(self.step))
        state = self.state_dict()
        distributed.on_rank_zero(lambda: checkpoint.save(self.folder, state))
        self.listener.on_checkpoint(self.folder / checkpoint.LAST)
        self.saved, self.saved_at = time.monotonic(), (self.epoch, self.step)

    def _train_epoch(self, signals: Signals) -> None:
        """Take the remaining steps of the epoch."""
        self.train_step.run.train()
        self.frozen.start_epoch(self.epoch)
        if self.step == 0:
            self.train_step.start_epoch()
        before = self.epoch * len(self.loader)
        since = time.monotonic() - self.seconds
        last = min(len(self.loader), self.steps - before)
        for batch in islice(self.batches(self.epoch, self.step), last - self.step):
            number = before + self.step
            with self.stopwatch.step(number):
                losses, accuracy = self.train_step.step(batch, self.progress(number), self.rate(number))
            self.epoch_stats.add(losses, accuracy, self.train_step.all_finite)
            self.step += 1
            self.seconds = time.monotonic() - since
            self.listener.on_step()
            if self.step % self.every == 0 and self.step < last:
                self._check(signals)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Batch, ...]]:
        """Iterate over the batches of an epoch from step `start`, each as its parts."""
        return zip(*(part.epoch(epoch, start) for part in self.parts), strict=True)

    def _check(self, signals: Signals) -> None:
        """Check for non-finite values and signals, and save if a checkpoint is due; syncs with the device."""
        self._require_finite()
        due = time.monotonic() - self.saved >= self.save_every
        caught, due = distributed.all_reduce_max(
            torch.tensor([signals.caught, due], device=self.fabric.device)
        ).tolist()
        if caught or due:
            self.save()
        self._stop_if(caught)

    def _stop_if(self, caught: int) -> None:
        """Save this step and raise `Interrupted` if any rank caught a signal."""
        caught = int(distributed.all_reduce_max(torch.tensor(caught, device=self.fabric.device)))
        if caught:
            if self.saved_at != (self.epoch, self.step):
                self.save()
            done = f"{self.epoch} of {self.epochs} epochs" + (f" and {self.step} steps" if self.step else "")
            raise Interrupted(
                caught,
                f"stopped by {signal.Signals(caught).name} after {done}; the checkpoint is in {self.folder}: run the "
                "same command to continue",
            )

    def _end_epoch(self) -> None:
        """Validate, write the checkpoint and the log, and call the listener."""
        losses, accuracy = self.epoch_stats.means()  # syncs with the device
        seconds = max(self.seconds, 1e-9)
        self._require_finite()
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "lr": self.rate(self.epoch * len(self.loader)),
            "losses": losses,
            self.task.training: accuracy,
            "seconds": seconds,
            "images_per_second": len(self.epoch_stats) * self.loader.batch_size / seconds,
        }
        if self.balance is not None:
            row["weights"] = self.balance.fix()
        self.epoch, self.step = self.epoch + 1, 0
        self.epoch_stats, self.seconds = EpochStats(), 0.0
        if self.splits.validation is not None:
            row[self.task.validation] = self._validate(self.splits.validation)
        self.log.append(cast(AnyEpoch, row))
        self.done = self._is_done()
        if self._any_rank(self._epoch_due()):
            self.save()
        self._write_log()
        self.listener.on_epoch(self.log[-1])

    def _epoch_due(self) -> bool:
        """Return true if a checkpoint is due after this epoch."""
        return self.done or time.monotonic() - self.saved >= EPOCH_SAVE_EVERY

    def _is_done(self) -> bool:
        """Return true after the last epoch, and where patience ends by the scores of rank 0, which the file has."""
        waited, patience = self.epoch - self.best.epoch, self.config.patience
        return self.epoch == self.epochs or (
            patience is not None and distributed.on_rank_zero(lambda: waited >= patience)
        )

    def _any_rank(self, value: int) -> bool:
        return bool(distributed.all_reduce_max(torch.tensor(int(value), device=self.fabric.device)))

    def _write_log(self) -> None:
        lines = "".join(json.dumps(each) + "\n" for each in self.log)
        distributed.on_rank_zero(lambda: write_atomic(self.folder / LOG, lambda beside: beside.write_text(lines)))

    def _validate(self, images: AnyImages) -> float:
        """Return the score on the validation images, in percent; the test set is read at the end only."""
        network = self.train_step.weights.gather_full().deployed()
        score = evaluate_task(self.task, network, images, self.augment, self.fabric.device)[self.task.score]
        self.best.offer(self.epoch, score, network)
        return score

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return learning_rate(step, self.steps, len(self.loader), self.config)

    def progress(self, step: int) -> Progress:
        """Return a step's progress as tensors: compilation bakes numbers in, and copying them syncs with the device."""
        steps = len(self.loader)
        times = (step // steps, self.steps / steps, step / self.steps, step)
        device = self.fabric.device
        passes = (step * distributed.world_size() + distributed.rank()) * self.config.accumulate
        key = torch.full((), random_key(self.config.seed, passes), device=device)
        return Progress(*(torch.full((), float(each), device=device) for each in times))._replace(key=key)

    def _require_finite(self) -> None:
        """Raise `UserError` after a non-finite step; it names the loss, the step and the images."""
        if self.train_step.all_finite:
            return
        step, losses = self.epoch_stats.first_nonfinite()
        batch = next(self.batches(self.epoch, step))
        index = [row for part in batch if part.index is not None for row in part.index.tolist()]
        raise nonfinite_step(self.config, losses, index, self._place(step))

    def _place(self, step: int) -> str:
        return f"epoch {self.epoch + 1}, step {step + 1} of {len(self.loader)}"


def _require_reached(config: RunConfig, steps: int, steps_per_epoch: int) -> None:
    """Raise `UserError` for a warmup, an unfreezing or balanced weights that the run's steps do not reach."""
    if config.balance is not None and steps <= steps_per_epoch:
        raise UserError(
            f"--balance sets weights after the first epoch, of {steps_per_epoch} steps, but the run has {steps} steps; "
            "train for more epochs, or leave it out"
        )
    for name, epochs, reached in (
        ("warmup", config.warmup, steps >= config.warmup * steps_per_epoch),
        ("unfreeze", config.unfreeze, config.unfreeze is None or steps > config.unfreeze * steps_per_epoch),
    ):
        if not reached:
            raise UserError(
                f"{name} is at {epochs} epochs of {steps_per_epoch} steps, but the run has {steps} steps; pass fewer "
                f"epochs of --{name}, or more --steps"
            )
