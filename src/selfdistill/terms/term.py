"""What a term may see at a step, and the contract that every term keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Size, Tensor, nn

from selfdistill.data.batch import Asked, Batch

Memory = Any  # tensors, tuples, dicts, None: what a checkpoint can hold without code


class Progress(NamedTuple):
    """Where in training a step stands."""

    epoch: Tensor  # [] whole epochs done
    epochs: Tensor  # [] of the whole run
    fraction: Tensor  # [] from 0 at the first step towards 1

    def ramp(self, epochs: float) -> Tensor:
        """A share that grows from 0 to 1 over the first so many epochs; 1 where `epochs` is 0. -> []."""
        if epochs <= 0:
            return torch.ones_like(self.fraction)
        return (self.fraction * self.epochs / epochs).clamp(max=1.0)

    def ramp_up(self, epochs: float) -> Tensor:
        """exp(-5 (1 - t)²), t from 0 to 1 over the first so many whole epochs; 1 where `epochs` is 0. -> [].

        The sigmoid-shaped ramp of Laine and Aila, 2017 (https://arxiv.org/abs/1610.02242).
        """
        if epochs <= 0:
            return torch.ones_like(self.fraction)
        return torch.exp(-5 * (1 - (self.epoch / epochs).clamp(max=1.0)).square())


class ModelOutputs(NamedTuple):
    """What one pass shows, in float32 at least."""

    logits: Tensor  # [B, C]
    embedding: Asked  # [B, D], what the classifier reads
    features: Mapping[str, Tensor]  # by tap: [B, D, H, W] maps or [B, N, D] tokens


@dataclass(frozen=True)
class ForwardPass:
    """One more pass that a step must make, shared by all terms that ask for it by this name.

    It goes over `batch.extra[source]`, or over the batch's images where `source` is None, as `make`
    changes them. A `joint` one is part of the anchor's own pass, and of its batch statistics.
    """

    name: str
    grad: bool
    network: str = "student"  # or the role of another
    source: str | None = None
    make: Callable[[Tensor], Tensor] | None = None  # images [B, 3, H, W] -> images
    joint: bool = False
    taps: tuple[str, ...] = ()  # what it reads inside another network; "stages": all of them


class BuildContext(NamedTuple):
    """What a term builds its heads from."""

    shapes: Mapping[str, Size]  # of the student's taps it reads, of "logits" and of "embedding"
    views: Mapping[str, Mapping[str, Size]]  # the same of other networks, by view
    tail: Callable[[str], nn.Module]  # what follows a tap in the student, copied and drawn anew

    @property
    def classes(self) -> int:
        """How many classes the student tells apart."""
        return self.shapes["logits"][-1]


class TrainingInfo(NamedTuple):
    """What is known of model and data before the first step."""

    classes: int
    width: int | None  # D of the embedding; None where there is no classifier
    batch: int  # rows a step
    like: Tensor  # [] of the memory's device and dtype
    images: int = 0  # in the training set; 0 where nobody said


class TableUpdate(NamedTuple):
    """Rows to be written into a table that is remembered, once the step is done."""

    index: Tensor  # type: ignore[assignment]  # [B]; no one asks it for tuple's index
    values: Tensor  # [B, …]


@dataclass(frozen=True)
class StepContext:
    """All that a term may read at one step."""

    batch: Batch
    logits: Tensor  # [B, C], with gradient
    embedding: Asked  # [B, D], with gradient
    features: Mapping[str, Tensor]
    views: Mapping[str, ModelOutputs]
    classifier: Callable[[Tensor], Tensor]  # [*, D] -> [*, C], without gradient
    directions: Asked  # [C, D] the classifier's weight, with gradient; None where it is not linear
    progress: Progress
    memory: Memory = None  # what this term remembered at the step before

    @property
    def anchor(self) -> ModelOutputs:
        """What the anchor's own pass shows, as a view's does."""
        return ModelOutputs(self.logits, self.embedding, self.features)

    def learn(self, logits: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy of any head's logits with this batch's labels. [B, C] -> []."""
        return label_loss(logits, self.batch, smoothing)


def label_loss(logits: Tensor, batch: Batch, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with hard labels, or with their mixture where rows are mixed. [B, C] -> [].

    `smoothing` is torch's: that share of the target spread over all C classes.
    """
    if batch.mix is None:
        return F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
    columns = batch.labels[batch.mix.partners].unbind(dim=1)  # n of [B]
    each = [F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing) for labels in columns]
    return (batch.mix.shares * torch.stack(each, dim=1)).sum(dim=1).mean()


LossValue = Tensor | Mapping[str, Tensor]  # a loss [], or its parts: what learns the labels, what imitates


class LossTerm(nn.Module):
    """One loss: what it must see, its value, and what it keeps for the next step.

    A value in parts, {"learn": …, "mimic": …}, says which share of it is distillation: a control
    drops that. A value in one is all imitation. Modules made in `build` train, synchronise and
    checkpoint with the student and never reach the deployed model. What a term keeps between steps
    goes through `remember`, never through a buffer: DDP overwrites every rank's buffers with rank 0's.
    """

    weight: float = 1.0
    taps: tuple[str, ...] = ()  # "stage2", "stage-1", "layer2"; "stages": all of them
    needs_spatial: bool = False  # it compares positions: stages smaller than 2x2 are left out
    views: tuple[ForwardPass, ...] = ()  # passes beside the anchor's
    requires: tuple[str, ...] = ()  # parts of the student it needs: "embedding", "classifier"
    supports_mixup: bool = True  # it can read batches whose rows are mixed
    uses_progress: bool = False  # it reads the clock
    uses_index: bool = False  # it reads batch.index and the number of training images
    uses_labels: bool = False  # a part of its value learns the labels
    min_batch_size: int = 1  # the fewest rows a batch must have
    reduction: Literal["mean", "batch"] = "mean"  # "batch": the loss is not a mean over rows
    memory_scope: Literal["rank", "run"] = "rank"  # each rank its own, or one for the run
    reset_memory: Literal["never", "epoch"] = "never"  # when memory starts again

    def build(self, context: BuildContext) -> None:
        """Make heads."""

    def start(self, info: TrainingInfo) -> Memory:
        """Give the memory before the first step; None: this term keeps nothing."""
        return None

    def loss(self, context: StepContext) -> LossValue:
        """Give this term's value before `weight`: a scalar, or its parts."""
        raise NotImplementedError(f"{type(self).__name__} defines no loss")

    def remember(self, context: StepContext) -> Memory:
        """Give the memory for the next step."""
        return None

    def forward(self, context: StepContext) -> tuple[LossValue, Memory]:
        """Give the loss and the next memory. Override only where the two share work."""
        return self.loss(context), self.remember(context)

    def after_step(self) -> None:
        """Follow what the optimizer did, as averages of heads do."""

    def finish(self, student: nn.Module, classifier: str) -> None:
        """Fold what was trained into the student's own weights, its classifier at this path."""


class CrossEntropy(LossTerm):
    """The task itself: the labels, mixed where the images are, smoothed where asked."""

    def __init__(self, smoothing: float = 0.0):
        super().__init__()
        self.smoothing = smoothing

    def loss(self, context: StepContext) -> LossValue:
        """Cross-entropy of the student's logits."""
        return context.learn(context.logits, self.smoothing)
