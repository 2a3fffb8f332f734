"""Distillation in your own training loop: a callable that returns the loss of a step and holds its memory."""

from collections.abc import Mapping
from traceback import walk_tb

import torch
from torch import Generator, Tensor, nn

from selfdistill import distributed
from selfdistill.data.batch import Batch
from selfdistill.data.cell_exchange import CellExchange
from selfdistill.data.ignored import IGNORED
from selfdistill.data.mixing import Mixing
from selfdistill.data.requirements import Need
from selfdistill.errors import UserError
from selfdistill.features.logits import LogitsKey
from selfdistill.inputs import Inputs, device_of, num_rows
from selfdistill.loop import validate
from selfdistill.loop.extra_state import pack, unpack
from selfdistill.loop.finite import FiniteCheck
from selfdistill.loop.labels import Labels, label_reader
from selfdistill.method import Method
from selfdistill.methods import parse_method
from selfdistill.rng import random_key
from selfdistill.step import Distiller, LossTerms, Step
from selfdistill.step.example_weights import relative_weights
from selfdistill.step.memory import MemorySlots
from selfdistill.step.precision import reference_tensor
from selfdistill.step.row_kinds import RowKind
from selfdistill.terms import Memory, Progress, StepContext, TaskLoss


def teach(
    model: nn.Module,
    method: str | Method,
    inputs: Inputs,
    *,
    networks: Mapping[str, nn.Module] | None = None,
    classifier: str | None = None,
    output: LogitsKey | None = None,
    task: TaskLoss | None = None,
    rows: RowKind | None = None,
    aux: float | None = None,
    ignore_index: int = IGNORED,
    seed: int = 0,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    dataset_size: int = 0,
    accumulate: int = 1,
) -> "DistillationStep":
    """Teach a model by a method, in a training loop of your own.

    `inputs` are a batch as the loop will bring it: a tensor such as float images [B, C, H, W], a tuple of the model's
    arguments, or a mapping of its keywords, B rows in each tensor. Options: `networks` (teachers by role), `classifier`
    (the path of the module that makes the logits), `output` (position, key or function that names the logits in the
    model's output), `task` (a loss of logits and labels in place of cross-entropy, for the student and for heads that
    learn the labels), `rows` ("tags" for labels [B, C], several tags per example; pixels and tokens are detected),
    `ignore_index` (the label of pixels, tokens or tags without one), `aux` (the weight of the task loss of auxiliary
    logits, which some models return in training; 0 freezes their heads until `close`), `seed`, `epochs` and
    `steps_per_epoch` (for methods that read time), `dataset_size` (for methods that remember each example),
    `accumulate` (batches per optimizer step).
    Returns a module that computes the loss of a batch. Raises `UserError` where method and model do not fit, for
    methods that change the optimizer, and for a missing length of training, data set size or teacher.

    >>> images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])
    >>> teach = sd.teach(sd.create("resnet8", classes=10, size=8), "drg() + dsr()", images)
    >>> teach(images, labels).backward()  # then a step of an optimizer of teach.parameters()
    >>> model = teach.close()
    """
    return DistillationStep(
        model,
        parse_method(method),
        inputs,
        networks=networks,
        classifier=classifier,
        output=output,
        task=task,
        rows=rows,
        aux=aux,
        ignore_index=ignore_index,
        seed=seed,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        dataset_size=dataset_size,
        accumulate=accumulate,
    )


class DistillationStep(nn.Module):
    """A training step as a callable: inputs and labels in, a scalar loss out.

    After a call, `losses` holds the unweighted loss of each term, and `logits` [B, C] those of the batch, for the
    training accuracy. `state_dict()` includes the memories of terms. With the student in eval mode, or without
    gradient, a call returns the task loss and stores no memory; in eval mode with gradient it warns once.

    >>> images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])
    >>> teach = sd.teach(sd.create("resnet8", classes=10, size=8), "drg()", images)
    >>> teach(images, labels).dim(), teach.logits.shape, sorted(teach.losses)
    (0, torch.Size([4, 10]), ['guidance.learn', 'guidance.mimic', 'task'])
    """

    _memory: MemorySlots
    _calls: Tensor  # []

    def __init__(
        self,
        model: nn.Module,
        method: Method,
        inputs: Inputs,
        *,
        networks: Mapping[str, nn.Module] | None = None,
        classifier: str | None = None,
        output: LogitsKey | None = None,
        task: TaskLoss | None = None,
        rows: RowKind | None = None,
        aux: float | None = None,
        ignore_index: int = IGNORED,
        seed: int = 0,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        dataset_size: int = 0,
        accumulate: int = 1,
    ):
        super().__init__()
        validate.require_own_loop(method)
        self.method = method
        self.step = Distiller(
            model,
            method,
            inputs,
            networks=networks,
            classifier=classifier,
            output=output,
            task=task,
            rows=rows,
            aux=aux,
            seed=seed,
        )
        self._read_labels = label_reader(self.step.rows, ignore_index, own_task=task is not None)
        self.epochs, self.steps_per_epoch, self.accumulate = epochs, steps_per_epoch, accumulate
        self.dataset_size = dataset_size
        try:
            self._require_complete()
        except UserError:
            self.step.release()
            raise
        self.losses: dict[str, Tensor] = {}
        self.logits: Tensor | None = None
        self._generator = Generator().manual_seed(seed)
        self._first_key = random_key(seed, distributed.rank())
        self._started, self._closed, self._warned = 0, False, False
        self._norms: validate.Norms | None = None
        self._finite = FiniteCheck(self.step)
        validate.warn_of_idle_parameters(self.step)
        validate.warn_of_equal_norms(self.step)
        self._start(num_rows(inputs))

    @property
    def student(self) -> nn.Module:
        """The model in training: the caller's own object.

        >>> model = sd.create("resnet8", classes=10, size=8)
        >>> sd.teach(model, "drg()", torch.randn(4, 3, 8, 8)).student is model
        True
        """
        return self.step.student

    @property
    def memories(self) -> list[dict[str, Memory]]:
        """Memories of terms by name, one dictionary per accumulated batch.

        >>> teach = sd.teach(sd.create("resnet8", classes=10, size=8), "dsr()", torch.randn(4, 3, 8, 8))
        >>> [sorted(each) for each in teach.memories]
        [['shape', 'task']]
        """
        return self._memory.slots

    @property
    def mixing(self) -> Mixing | CellExchange | None:
        """Return the mixing of the method's batches, or None; a call applies it to batches that are not mixed.

        >>> teach = sd.teach(sd.create("resnet8", classes=10, size=8), "mixup(alpha=0.4)", torch.randn(4, 3, 8, 8))
        >>> teach.mixing.alpha
        0.4
        """
        return self.method.mixing

    @property
    def needs(self) -> Mapping[str, Need]:
        """Return the method's requirements on the data besides inputs and labels, which `sd.loader` meets.

        >>> teach = sd.teach(sd.create("resnet8", classes=10, size=8), "cs_kd()", torch.randn(4, 3, 8, 8))
        >>> list(teach.needs)
        ['peer']
        """
        return self.method.needs

    def forward(
        self,
        inputs: Inputs | Batch,
        labels: Labels | None = None,
        *,
        index: Tensor | None = None,
        remember: bool = True,
        **extra: Inputs,
    ) -> Tensor:
        """Return the loss of a batch of inputs with labels [B], a scalar for backward().

        A `Batch` of `sd.loader` takes the place of inputs and labels; its weights of examples count relative to their
        mean over the batches of all processes. `index` [B] are places in the data set; `extra` are further tensors
        that the method requires, such as `peer`. `remember=False` leaves the memories unchanged, for optimizers that
        evaluate a batch twice. Raises `UserError` for labels that are no class ids of the model, for a missing tensor,
        for too few rows, for losses that are not finite, and after `close`.

        >>> images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])
        >>> teach = sd.teach(sd.create("resnet8", classes=10, size=8), "cs_kd()", images)
        >>> loss = teach(images, labels, peer=images[[2, 3, 0, 1]])
        """
        self._require_open()
        if not torch.compiler.is_compiling():
            self._finite.before(self._calls.device)
        validate.require_known(self.step, extra)
        batch = inputs if isinstance(inputs, Batch) else _batch(inputs, labels, index, extra)
        batch = batch._replace(labels=self._labels(batch))
        if batch.weights is not None:
            validate.require_weights(self.step, batch.weights, len(batch.labels))
            batch = batch._replace(weights=batch.weights.to(device_of(batch.inputs)))
        if not (self.student.training and torch.is_grad_enabled()):
            return self._evaluate(batch)
        return self._train(self._prepare_batch(batch), remember)

    def deployed(self) -> nn.Module:
        """Return the network to deploy, for validation during training: the student, or a copy with its EMA weights.

        Heads that a method exports are merged into the copy. An EMA includes the steps before the last call.

        >>> teach = sd.teach(sd.create("resnet8", classes=10, size=8), "ema()", torch.randn(4, 3, 8, 8))
        >>> teach.deployed().eval()(torch.randn(2, 3, 8, 8)).shape, teach.deployed() is teach.student
        (torch.Size([2, 10]), False)
        """
        return self.step.deployed()

    def close(self) -> nn.Module:
        """Remove all hooks and return the trained model, with averages and exported heads merged into its weights.

        Raises `UserError` where running statistics of the model are not finite.

        >>> student = sd.create("resnet8", classes=10, size=8)
        >>> sd.teach(student, "drg()", torch.randn(4, 3, 8, 8)).close() is student
        True
        """
        if self._started and not self._closed:
            self.step.after_step()
        self._closed = True
        model = self.step.close()
        validate.require_statistics(self.step)
        return model

    def get_extra_state(self) -> Tensor:
        """Return memories, progress and random state for `state_dict`, as one tensor. -> [bytes] uint8.

        >>> teach = sd.teach(sd.create("resnet8", classes=10, size=8), "dsr()", torch.randn(4, 3, 8, 8))
        >>> teach.load_state_dict(teach.state_dict())
        <All keys matched successfully>
        """
        return pack(self._extra_state())

    def set_extra_state(self, packed: Tensor) -> None:
        """Restore memories, progress and random state from the tensor of `get_extra_state`.

        >>> teach = sd.teach(sd.create("resnet8", classes=10, size=8), "dsr()", torch.randn(4, 3, 8, 8))
        >>> teach.set_extra_state(teach.get_extra_state())
        """
        state = unpack(packed, self._calls.device, keys=self._extra_state())
        self._memory.slots, self._batch_rows, self._calls = state["memories"], state["rows"], state["calls"]
        self._started, self._slot = state["started"], state["slot"]
        self._generator.set_state(state["generator"].cpu())
        self._first_key = random_key(self._generator.initial_seed(), distributed.rank())

    def _require_complete(self) -> None:
        """Raise `UserError` for a student or options with which the method cannot train."""
        if self.step.own_task is not None:
            validate.require_own_task(self.method, self.step.rows)
        validate.require_trainable(self.step)
        validate.require_time(self.step, self.epochs, self.steps_per_epoch)
        validate.require_size(self.step, self.dataset_size)

    def _extra_state(self) -> dict[str, object]:
        state = {"memories": self._memory.slots, "rows": self._batch_rows, "calls": self._calls}
        return state | {"started": self._started, "slot": self._slot, "generator": self._generator.get_state()}

    def _start(self, rows: int) -> None:
        """Initialize memories for batches of `rows` rows, one slot per accumulated batch."""
        self._batch_rows, self._slot = rows, 0
        self._calls = reference_tensor(self.student)  # a tensor: a number would be compiled in
        info = self.step.training_info(rows, self.dataset_size)
        self._memory = MemorySlots(self._terms, info, self.accumulate)

    @property
    def _terms(self) -> LossTerms:
        return self.step.terms

    def _labels(self, batch: Batch) -> Tensor:
        """Return class ids of the rows; with the caller's own task loss, float labels pass unchanged."""
        rows, device = num_rows(batch.inputs), device_of(batch.inputs)
        labels = self._read_labels(batch.labels, rows, device)
        # a wrong id ends a CUDA process; a check of each batch would be a host sync
        if not torch.compiler.is_compiling() and (device.type == "cpu" or self._started == 0):
            self._read_labels.require_known(labels)
        return labels

    def _evaluate(self, batch: Batch) -> Tensor:
        """Return the task loss; memories and running averages stay unchanged."""
        if torch.is_grad_enabled() and not self._warned and not torch.compiler.is_compiling():
            self._warned = True
            validate.warn_of_eval_mode()
        (batch,) = relative_weights([batch])
        loss, self.logits = self.step.task_loss(batch)
        self.losses = {"task": loss.detach()}
        return loss

    def _train(self, batch: Batch, remember: bool) -> Tensor:
        memories = self._read_memory()
        if self._started > 1 and self._slot == 0 and remember:
            self.step.after_step()  # by the next batch, the optimizer has taken its step
        step = self._step(batch, memories)
        if not torch.compiler.is_compiling():
            self._finite.after(step)
            if self._started == 1:
                validate.warn_of_frozen_layers(self.step, step.losses)
        self.losses = {name: loss.detach() for name, loss in step.losses.items()}
        self.logits = step.logits
        if remember:
            self._remember(memories, step.remembered)
        return self.step.total(step.losses)

    def _step(self, batch: Batch, memories: dict[str, Memory]) -> Step:
        """Compute passes and losses; errors of terms that read labels of another kind become `UserError`."""
        try:
            step: Step = self.step(batch, self._progress(), memories)
        except (RuntimeError, IndexError) as error:
            is_of_labels = self.step.own_task is not None and not isinstance(error, torch.OutOfMemoryError)
            if not is_of_labels or _raised_in_task(error):
                raise
            raise UserError(
                f"{self.method.text} reads class ids [B], but labels are {[*batch.labels.shape]} numbers: {error}"
            ) from error
        return step

    def _remember(self, before: Mapping[str, Memory], remembered: Mapping[str, Memory]) -> None:
        """Commit the memories of this slot and advance to the next slot."""
        self._memory.commit(self._slot, remembered, before=before)
        self._slot = (self._slot + 1) % self.accumulate
        self._calls = self._calls + 1

    def _progress(self) -> Progress:
        """Return the progress of this call; 0 if the number of epochs is unknown."""
        key = self._first_key + self._calls.long() * distributed.world_size()
        if self.epochs is None or self.steps_per_epoch is None:
            return Progress(*(torch.zeros_like(self._calls),) * 3, self._calls, key)
        steps = torch.div(self._calls, self.accumulate, rounding_mode="floor")
        epoch = torch.div(steps, self.steps_per_epoch, rounding_mode="floor")
        epochs = torch.full_like(steps, self.epochs)
        return Progress(epoch, epochs, steps / (self.epochs * self.steps_per_epoch), self._calls, key)

    def _read_memory(self) -> dict[str, Memory]:
        """Return the memories of this slot; at the first step of an epoch, those with `reset_memory` start anew."""
        if self.steps_per_epoch is None:
            memories: dict[str, Memory] = self._memory.slots[self._slot]
            return memories
        first = self._calls % (self.steps_per_epoch * self.accumulate) < self.accumulate
        return self._memory.restarted_if(first, self._slot)

    def _prepare_batch(self, batch: Batch) -> Batch:
        """Erase and mix the batch as the method declares. Raises `UserError` for missing inputs."""
        validate.require_rows(self.step, batch)
        if self.method.erasing:
            batch = self.method.erasing(batch, self._generator)
        if self.mixing and batch.mix is None:
            batch = self.mixing(batch, self._generator)
        validate.require_extra(self.step, batch)
        (batch,) = relative_weights([batch])
        if not torch.compiler.is_compiling():
            self._check_first_calls(batch)
        return batch

    def _check_first_calls(self, batch: Batch) -> None:
        """At the first call, match memories to batch size and device; after the first step, check that heads train."""
        rows, device = num_rows(batch.inputs), device_of(batch.inputs)
        if self._started == 0 and (rows != self._batch_rows or self._calls.device != device):
            self._start(rows)
        if self._started == self.accumulate and self._norms is not None:
            validate.require_optimized(self.step, self._norms)
        if self._started == 0:
            self._norms = validate.parameter_norms(self.step)
            validate.warn_of_equal_twins(batch, self.method)
            validate.warn_of_copied_labels(batch, self.step)
        self._started = min(self._started + 1, self.accumulate + 1)

    def _require_open(self) -> None:
        if self._closed:
            raise UserError("this teach was closed; call sd.teach(model, …) again to continue training")


def _raised_in_task(error: Exception) -> bool:
    """Return True for an error of the caller's task loss, which every supervised loss calls in its place."""
    return any(frame.f_code is StepContext.cross_entropy.__code__ for frame, _ in walk_tb(error.__traceback__))


def _batch(inputs: Inputs, labels: Labels | None, index: Tensor | None, extra: Mapping[str, Inputs]) -> Batch:
    if labels is None:
        raise UserError("teach needs labels besides inputs: teach(inputs, labels), or a Batch of sd.loader")
    return Batch(inputs, torch.as_tensor(labels), index, None, extra)
