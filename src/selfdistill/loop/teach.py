"""Distillation in your own training loop: a callable that returns the loss of a step and holds its memory."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from selfdistill.data.batch import Batch
from selfdistill.data.mixing import Mixing
from selfdistill.data.requirements import Need
from selfdistill.errors import UserError
from selfdistill.loop import validate
from selfdistill.method import Method
from selfdistill.methods import parse_method
from selfdistill.step import Distiller, LossTerms
from selfdistill.step.memory import MemorySlots
from selfdistill.step.precision import reference_tensor
from selfdistill.terms import Memory, Progress

LOOK_EVERY = 16  # calls on a GPU between looks at running statistics: a look waits for the device


def teach(
    model: nn.Module,
    method: str | Method,
    images: Tensor,
    *,
    networks: Mapping[str, nn.Module] | None = None,
    classifier: str | None = None,
    seed: int = 0,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    dataset_size: int = 0,
    accumulate: int = 1,
) -> "DistillationStep":
    """Teach a model by a method, in a training loop of your own.

    `images` [B, 3, H, W] is a batch as the loop will bring it. Options: `networks` (teachers by
    role), `classifier`, `seed`, `epochs` and `steps_per_epoch` (for methods that read time),
    `dataset_size` (for methods that remember each image), `accumulate` (batches per optimizer step).
    Raises `UserError` where method and model do not fit.

        teach = sd.teach(model, "drg() + dsr()", images)
        optimizer = torch.optim.SGD(teach.parameters(), lr=0.1)
        loss = teach(images, labels)
        model = teach.close()
    """
    return DistillationStep(
        model,
        parse_method(method),
        images,
        networks=networks,
        classifier=classifier,
        seed=seed,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        dataset_size=dataset_size,
        accumulate=accumulate,
    )


class DistillationStep(nn.Module):
    """A step as a callable: images and labels in, a scalar loss out.

    After a call its parts lie in `losses`, by term and before their weights, and `logits` [B, C] are those
    of the batch, for a training accuracy.

    Memory rides in `state_dict()`. With the student in eval mode, or without gradient, a call gives
    the cross-entropy and remembers nothing.
    """

    _memory: MemorySlots

    def __init__(
        self,
        model: nn.Module,
        method: Method,
        images: Tensor,
        *,
        networks: Mapping[str, nn.Module] | None = None,
        classifier: str | None = None,
        seed: int = 0,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        dataset_size: int = 0,
        accumulate: int = 1,
    ):
        super().__init__()
        validate.require_own_loop(method)
        self.method = method
        self.step = Distiller(model, method, images, networks=networks, classifier=classifier, seed=seed)
        self.epochs, self.steps_per_epoch, self.accumulate = epochs, steps_per_epoch, accumulate
        self.dataset_size = dataset_size
        validate.require_time(self.step, epochs, steps_per_epoch)
        validate.require_size(self.step, dataset_size)
        self.losses: dict[str, Tensor] = {}
        self.logits: Tensor | None = None
        self._draws = Generator().manual_seed(seed)
        self._started, self._closed, self._unseen = 0, False, 0
        self._versions: validate.Versions = (0, 0)
        self._start(len(images))

    @property
    def student(self) -> nn.Module:
        """The model that is taught: the caller's own object."""
        return self.step.student

    @property
    def mixing(self) -> Mixing | None:
        """Return the mixing of the method's batches, or None."""
        return self.method.mixing

    @property
    def needs(self) -> Mapping[str, Need]:
        """Return the method's requirements on the data besides images and labels."""
        return self.method.needs

    def forward(
        self,
        images: Tensor | Batch,
        labels: Tensor | None = None,
        *,
        index: Tensor | None = None,
        remember: bool = True,
        **extra: Tensor,
    ) -> Tensor:
        """Give the loss of a batch [B, 3, H, W] with labels [B], a scalar to call backward on.

        `remember=False` leaves the memory as it is, for optimizers that evaluate a batch twice.
        """
        batch = images if isinstance(images, Batch) else _batch(images, labels, index, extra)
        self._require_open()
        if not torch.compiler.is_compiling():
            self._look()
        if not (self.student.training and torch.is_grad_enabled()):
            return self.step.task_loss(batch)
        return self._train(self._ready(batch), remember)

    def close(self) -> nn.Module:
        """End the teaching: the model comes back without a trace of it."""
        if self._started and not self._closed:
            self.step.after_step()
        self._closed = True
        model = self.step.close()
        validate.require_statistics(self.step)
        return model

    def get_extra_state(self) -> dict[str, Any]:
        """Memory, time and draws, for `state_dict`."""
        state = {"memories": self._memory.slots, "rows": self._rows, "calls": self._calls}
        return state | {"started": self._started, "slot": self._slot, "draws": self._draws.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take up memory, time and draws where `get_extra_state` left them."""
        self._memory.slots, self._rows, self._calls = state["memories"], state["rows"], state["calls"]
        self._started, self._slot = state["started"], state["slot"]
        self._draws.set_state(state["draws"].cpu())

    def _start(self, rows: int) -> None:
        """Memories for batches of so many rows: one for each slot of accumulation."""
        self._rows, self._slot = rows, 0
        self._calls = reference_tensor(self.student)  # a tensor: a number would be compiled in
        info = self.step.training_info(rows, self.dataset_size)
        self._memory = MemorySlots(self._terms, info, self.accumulate)

    @property
    def _terms(self) -> LossTerms:
        return self.step.terms

    def _train(self, batch: Batch, remember: bool) -> Tensor:
        memories = self._read_memory()
        if self._started > 1 and self._slot == 0 and remember:
            self.step.after_step()  # the optimizer's last step is known to be done when the next batch comes
        step = self.step(batch, self._progress(), memories)
        self.losses = {name: loss.detach() for name, loss in step.losses.items()}
        self.logits = step.logits
        if remember:
            self._remember(memories, step.remembered)
        return self.step.total(step.losses)

    def _remember(self, before: Mapping[str, Memory], remembered: Mapping[str, Memory]) -> None:
        """Commit this slot's memories and go to the next slot."""
        self._memory.commit(self._slot, remembered, before=before)
        self._slot = (self._slot + 1) % self.accumulate
        self._calls = self._calls + 1

    def _progress(self) -> Progress:
        """Return the progress of this call; always the start if the number of epochs is unknown."""
        if self.epochs is None or self.steps_per_epoch is None:
            return Progress(*(torch.zeros_like(self._calls),) * 3)
        steps = torch.div(self._calls, self.accumulate, rounding_mode="floor")
        epoch = torch.div(steps, self.steps_per_epoch, rounding_mode="floor")
        epochs = torch.full_like(steps, self.epochs)
        return Progress(epoch, epochs, steps / (self.epochs * self.steps_per_epoch))

    def _read_memory(self) -> dict[str, Memory]:
        """Return this slot's memories, restarted at the first step of an epoch where a term asks for that."""
        if self.steps_per_epoch is None:
            memories: dict[str, Memory] = self._memory.slots[self._slot]
            return memories
        first = self._calls % (self.steps_per_epoch * self.accumulate) < self.accumulate
        return self._memory.restarted_if(first, self._slot)

    def _ready(self, batch: Batch) -> Batch:
        """The batch with all that the method needs; `UserError` where something is missing."""
        validate.require_rows(self.step, batch)
        if self.method.erasing:
            batch = self.method.erasing(batch, self._draws)
        if self.mixing and batch.mix is None:
            batch = self.mixing(batch, self._draws)
        validate.require_extra(self.step, batch)
        if not torch.compiler.is_compiling():
            self._meet(batch)
        return batch

    def _meet(self, batch: Batch) -> None:
        """At the first call fit memory to the batch and device; at the second see that heads are trained."""
        if self._started == 0 and (len(batch.images) != self._rows or self._calls.device != batch.images.device):
            self._start(len(batch.images))
        if self._started == self.accumulate:
            validate.require_optimised(self.step, self._versions)
        if self._started == 0:
            self._versions = validate.versions(self.step)
        self._started = min(self._started + 1, self.accumulate + 1)

    def _look(self) -> None:
        """Require finite running statistics: before validation, and every so often in training."""
        self._unseen += 1
        often = 1 if self._calls.device.type == "cpu" else LOOK_EVERY
        if self._unseen >= often or not self.student.training:
            validate.require_statistics(self.step)
            self._unseen = 0

    def _require_open(self) -> None:
        if self._closed:
            raise UserError("this teach was closed; call sd.teach(model, …) again to go on teaching")


def _batch(images: Tensor, labels: Tensor | None, index: Tensor | None, extra: Mapping[str, Tensor]) -> Batch:
    if labels is None:
        raise UserError("teach needs labels beside images: teach(images, labels), or a Batch of sd.loader")
    return Batch(images, labels, index, None, extra)
