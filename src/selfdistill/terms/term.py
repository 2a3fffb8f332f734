"""The interface of a loss term: its declarations, the values it reads at a step, and its hooks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Size, Tensor, nn

from selfdistill.data.batch import Batch, Mix
from selfdistill.data.mixing import partner_weights
from selfdistill.errors import UserError
from selfdistill.inputs import Inputs
from selfdistill.table_format import FULL, TableFormat
from selfdistill.terms.memory import Memory, as_mapping, as_memories, as_pair, as_tensor
from selfdistill.terms.rows import EXAMPLES, Rows

Value = TypeVar("Value", Tensor, Mix)
CLASSIFIED = "stage-1"  # where a classifier of whole examples is applied to each position
Requirement = Literal["embedding", "classifier", "classifier_weight"]
TaskLoss = Callable[[Tensor, Tensor], Tensor]  # logits [B, C] and labels -> []
LossValue = Tensor | Mapping[str, Tensor]  # a loss [], or its parts {"learn": [], "mimic": []}


class Progress(NamedTuple):
    """Training progress at a step."""

    epoch: Tensor  # [] completed epochs
    epochs: Tensor  # [] epochs of the run
    fraction: Tensor  # [] from 0 at the first step towards 1
    step: Tensor = torch.zeros(())  # [] batches done
    key: Tensor = torch.zeros((), dtype=torch.int64)  # [] of random numbers: another at each step, rank and part

    @property
    def completed(self) -> Tensor:
        """The share of completed epochs, from 0 to under 1. -> []."""
        return self.epoch / self.epochs

    def linear_ramp(self, epochs: float) -> Tensor:
        """Return a factor that grows linearly from 0 to 1 over the first `epochs`; 1 where `epochs` is 0. -> [].

        >>> from selfdistill.terms import Progress
        >>> Progress(*torch.tensor([1.0, 10.0, 0.1])).linear_ramp(epochs=4)
        tensor(0.2500)
        """
        if epochs <= 0:
            return torch.ones_like(self.fraction)
        return (self.fraction * self.epochs / epochs).clamp(max=1.0)

    def sigmoid_ramp(self, epochs: float) -> Tensor:
        """Return exp(-5 (1 - t)²), t from 0 to 1 over the first whole `epochs`; 1 where `epochs` is 0. -> [].

        The sigmoid-shaped ramp-up of Laine and Aila, 2017 (https://arxiv.org/abs/1610.02242).

        >>> from selfdistill.terms import Progress
        >>> Progress(*torch.tensor([2.0, 10.0, 0.2])).sigmoid_ramp(epochs=4)
        tensor(0.2865)
        """
        if epochs <= 0:
            return torch.ones_like(self.fraction)
        return torch.exp(-5 * (1 - (self.epoch / epochs).clamp(max=1.0)).square())

    def cosine_decay(self) -> Tensor:
        """Return a factor that falls from 1 to 0 over the whole epochs of the run, by half a cosine. -> [].

        >>> from selfdistill.terms import Progress
        >>> Progress(*torch.tensor([5.0, 10.0, 0.5])).cosine_decay()
        tensor(0.5000)
        """
        return (1 + torch.cos(torch.pi * self.epoch / self.epochs)) / 2


class ModelOutputs(NamedTuple):
    """Outputs of one forward pass, float32 or wider; a term reads them in `context.views`.

    >>> outputs = sd.ModelOutputs(torch.zeros(4, 10), None, {"stage2": torch.zeros(4, 16, 8, 8)})
    >>> outputs.features["stage2"].mean(dim=(2, 3)).shape
    torch.Size([4, 16])
    """

    logits: Tensor  # [B, C]
    embedding_or_none: Tensor | None  # [B, D], the classifier's input; None if not recorded
    features: Mapping[str, Tensor]  # by tap: maps [B, D, H, W], volumes, tokens [B, N, D] or vectors [B, D]
    inputs: Inputs = ()  # inputs of the pass
    auxiliary: tuple[Tensor, ...] = ()  # auxiliary logits that are learned, in the anchor's pass

    @property
    def embedding(self) -> Tensor:
        """The classifier's input [B, D]; raises `UserError` if the pass did not record it.

        >>> sd.ModelOutputs(torch.zeros(4, 10), torch.zeros(4, 64), {}).embedding.shape
        torch.Size([4, 64])
        """
        return _required(self.embedding_or_none, "embedding", "name it in the pass's taps, or in the term's `requires`")


@dataclass(frozen=True)
class ForwardPass:
    """An extra forward pass of a step, shared by all terms that declare it under this name.

    Its input is `transform` of `batch.extra[source]`, or of the batch's inputs if `source` is None.
    A `joint` pass is merged into the anchor's pass and shares its batch statistics. A term reads
    the outputs in `context.views[name]`; they are detached if the term declares `grad=False`.

    >>> flipped = sd.ForwardPass("flipped", grad=True, transform=lambda images: images.flip(-1))
    >>> class FlipConsistency(sd.LossTerm):
    ...     views = (flipped,)
    """

    name: str
    grad: bool
    network: str = "student"  # or the role of another network
    source: str | None = None
    transform: Callable[[Inputs], Inputs] | None = None
    joint: bool = False
    taps: tuple[str, ...] = ()  # features of another network to record; "stages": all stages


class LinearClassifier(NamedTuple):
    """Weight and bias of a linear classifier; the bias is zeros where the layer has none."""

    weight: Tensor  # [C, D]
    bias: Tensor  # [C]


class BuildContext(NamedTuple):
    """Shapes and factories from which a term builds its heads; shapes include the batch.

    >>> shapes = {"stage1": torch.Size([4, 8, 16, 16]), "logits": torch.Size([4, 10])}
    >>> context = sd.BuildContext(shapes, {}, branch=torch.nn.Identity)
    >>> torch.nn.Linear(context.shapes["stage1"][1], context.classes)
    Linear(in_features=8, out_features=10, bias=True)
    """

    shapes: Mapping[str, Size]  # of the student: its taps, "logits" and "embedding"
    views: Mapping[str, Mapping[str, Size]]  # of other networks, by pass
    branch: Callable[[str], nn.Module]  # from a tap: reinitialized layers behind it, called on `ModelOutputs`
    classifiers: Mapping[str, Callable[[], LinearClassifier]] = {}  # of other networks, by pass; for `finish` too

    @property
    def classes(self) -> int:
        """The number of classes C.

        >>> sd.BuildContext({"logits": torch.Size([4, 10])}, {}, branch=torch.nn.Identity).classes
        10
        """
        return self.shapes["logits"][1]


class TrainingInfo(NamedTuple):
    """Sizes of model and data before the first step; a term makes its memory from them.

    >>> info = sd.TrainingInfo(classes=10, width=64, batch=32, like=torch.zeros(()), images=500)
    >>> info.like.new_zeros(info.images, info.classes).shape
    torch.Size([500, 10])
    """

    classes: int
    width: int | None  # D of the embedding; None without a classifier
    batch: int  # rows per step
    like: Tensor  # [] a zero on the memory's device, of its dtype
    images: int = 0  # training examples; 0 if unknown
    tables: TableFormat = FULL  # format of tables with a row for each of them


@dataclass(frozen=True)
class StepContext:
    """All values that a term may read at one step; floats are float32 or wider.

    Properties raise `UserError` for values that this step does not provide.

    >>> from selfdistill.terms import Progress
    >>> batch = sd.Batch(torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]), index=torch.tensor([7, 3]))
    >>> outputs, start = sd.ModelOutputs(torch.zeros(2, 10), None, {}), Progress(*torch.zeros(3))
    >>> sd.StepContext(batch, *outputs[:3], {}, torch.nn.Identity(), None, start).index
    tensor([7, 3])
    """

    batch: Batch
    logits: Tensor  # [B, C], with gradient
    embedding_or_none: Tensor | None  # [B, D], with gradient; None without a classifier
    features: Mapping[str, Tensor]  # by tap, with gradient: [B, D, H, W] maps or [B, N, D] tokens
    views: Mapping[str, ModelOutputs]  # by the name of the pass
    classifier: Callable[[Tensor], Tensor]  # [*, D] -> [*, C], without gradient
    classifier_weight_or_none: Tensor | None  # [C, D], with gradient; None if the classifier is not linear
    progress: Progress
    memory: Memory = None  # the term's `remember` of the previous step
    task: TaskLoss | None = None  # the caller's loss, instead of cross-entropy
    rows: Rows = EXAMPLES  # how a head's features and logits become rows
    classifiers: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)  # of other networks

    @property
    def embedding(self) -> Tensor:
        """The classifier's input [B, D], with gradient; for terms that require "embedding"."""
        return _required(self.embedding_or_none, "embedding", "name 'embedding' in the term's `requires`")

    @property
    def classifier_weight(self) -> Tensor:
        """The linear classifier's weight [C, D], with gradient; for terms that require "classifier_weight"."""
        return _required(self.classifier_weight_or_none, "weight", "name 'classifier_weight' in the term's `requires`")

    @property
    def index(self) -> Tensor:
        """The index of each row in the data set [B]; for terms with `uses_index`."""
        return _required(self.batch.index, "index", "set `uses_index` in the term")

    @property
    def mix(self) -> Mix:
        """The mixing of the batch's rows; for terms of methods with `mixing`."""
        return _required(self.batch.mix, "mixing", "give the method a `mixing`")

    @property
    def memory_tensor(self) -> Tensor:
        """The memory of a term that keeps one tensor."""
        return as_tensor(self.memory)

    @property
    def memory_pair(self) -> tuple[Tensor, Tensor]:
        """The memory of a term that keeps two tensors."""
        return as_pair(self.memory)

    @property
    def memory_mapping(self) -> dict[str, Tensor]:
        """The memory of a term that keeps tensors by name."""
        return as_mapping(self.memory)

    @property
    def memories(self) -> Mapping[str, Memory]:
        """The memory of a term that keeps several by name, such as tables of images."""
        return as_memories(self.memory)

    @property
    def anchor(self) -> ModelOutputs:
        """The outputs of the anchor's pass; `views` holds those of other passes."""
        return ModelOutputs(self.logits, self.embedding_or_none, self.features, self.batch.inputs)

    def as_rows(self, outputs: ModelOutputs) -> ModelOutputs:
        """Convert the logits of a head or a branch, computed from pooled features, to rows.

        >>> class Exit(sd.LossTerm):
        ...     def loss(self, context):
        ...         return context.cross_entropy(context.as_rows(self.branch(context.anchor)).logits)
        """
        return outputs._replace(logits=self.rows.logits(outputs.logits))

    def cross_entropy(self, logits: Tensor, smoothing: float = 0.0) -> Tensor:
        """Compute the cross-entropy, or the caller's task loss, of a head's logits and the labels. [B, C] -> [].

        `smoothing` is PyTorch's `label_smoothing`. Mixed rows use mixed labels.

        >>> from selfdistill.terms import Progress
        >>> batch = sd.Batch(torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]))
        >>> outputs, start = sd.ModelOutputs(torch.zeros(2, 10), None, {}), Progress(*torch.zeros(3))
        >>> sd.StepContext(batch, *outputs[:3], {}, torch.nn.Identity(), None, start).cross_entropy(outputs.logits)
        tensor(2.3026)
        """
        if self.task is not None:
            return self.task(logits, self.batch.labels)
        return label_loss(logits, self.batch, smoothing)


def _required(value: Value | None, name: str, way_out: str) -> Value:
    if value is None:
        raise UserError(f"a term reads the {name}, but this step has none; {way_out}")
    return value


def label_loss(logits: Tensor, batch: Batch, smoothing: float = 0.0) -> Tensor:
    """Compute the cross-entropy with the labels, which are mixed if the batch's rows are. [B, C] -> [].

    `smoothing` is PyTorch's `label_smoothing`: the fraction of the target spread over all C classes. Weights of
    examples are relative to their mean over the batch, which a step has set to 1.
    """
    if batch.mix is None:
        if batch.weights is None:
            return F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
        rows = F.cross_entropy(logits, batch.labels, reduction="none", label_smoothing=smoothing)
        return (batch.weights * rows).mean()
    columns = batch.labels[batch.mix.partners].unbind(dim=1)  # n of [B]
    each = [F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing) for labels in columns]
    return (partner_weights(batch) * torch.stack(each, dim=1)).sum(dim=1).mean()


class LossTerm(nn.Module):
    """One loss: its declarations, its value, and its memory of the previous step.

    A value in parts, {"learn": …, "mimic": …}, separates distillation ("mimic") from supervised
    learning; a control drops the distillation. A single value is all distillation. Modules made in
    `build` are trained, synchronized and checkpointed with the student, and never exported. State
    between steps goes through `remember`, not a buffer: DDP overwrites buffers with those of rank 0.

    >>> class Confidence(sd.LossTerm):
    ...     def loss(self, context):
    ...         return -context.logits.log_softmax(dim=1).mean()
    >>> sd.Method({"confidence": Confidence()}).weights
    {'task': 1.0, 'confidence': 1.0}
    """

    weight: float = 1.0
    taps: tuple[str, ...] = ()  # "stage2", "stage-1", "layer2"; "stages": all stages
    needs_spatial: bool = False  # compares positions: skips stages smaller than 2x2
    views: tuple[ForwardPass, ...] = ()  # passes other than the anchor's
    requires: tuple[Requirement, ...] = ()  # parts of the student that must exist
    writes_weight: bool = False  # `finish` writes the classifier's weight
    writes_bias: bool = False  # and its bias
    reads_maps: bool = False  # logits of all positions: whole maps, or the classifier at each position of "stage-1"
    compares_norms: bool = False  # of all that a position or token holds, reads its norm: an attention map
    supports_mixup: bool = True  # accepts mixed batches
    supports_pixels: bool = True  # a row may be a pixel of an image, or a token
    supports_tags: bool = True  # a row may be one of the tags of an example
    ignores_unlabeled: bool = False  # leaves out rows whose label is -100 by itself
    needs_dropout: bool = False  # compares passes of one batch, which differ only by the model's own dropout
    needs_labels: bool = False  # reads a class id of every row; rows without one are left out
    uses_progress: bool = False  # reads `context.progress`
    ramp_epochs: float = 0.0  # epochs until the distillation has its full weight
    uses_random: bool = False  # draws numbers by `context.progress.key`
    uses_index: bool = False  # reads `context.index` and the number of training examples
    uses_labels: bool = False  # part of its value is a supervised loss
    supports_weights: bool = True  # its supervised losses are those of `context.cross_entropy`, which examples weight
    min_batch_size: int = 1
    min_stages: int = 1  # of the student, for terms that tap "stages"
    reduction: Literal["mean", "batch"] = "mean"  # "batch": the loss is not a mean over rows
    memory_scope: Literal["rank", "run"] = "rank"  # one memory per rank, or one for the run
    reset_memory: Literal["never", "epoch"] = "never"

    def build(self, context: BuildContext) -> None:
        """Make heads from the shapes of the student's features.

        >>> class Head(sd.LossTerm):
        ...     def build(self, context):
        ...         self.head = torch.nn.Linear(context.shapes["embedding"][1], context.classes)
        """

    def start(self, info: TrainingInfo) -> Memory:
        """Return the memory before the first step; None for a term without memory.

        >>> class MeanLogits(sd.LossTerm):
        ...     def start(self, info):
        ...         return info.like.new_zeros(info.classes)
        >>> MeanLogits().start(sd.TrainingInfo(classes=3, width=None, batch=32, like=torch.zeros(())))
        tensor([0., 0., 0.])
        """
        return None

    def loss(self, context: StepContext) -> LossValue:
        """Return the term's value, before `weight`: a scalar [], or its parts {"learn": [], "mimic": []}.

        >>> class EarlyExit(sd.LossTerm):
        ...     def loss(self, context):
        ...         return {"learn": context.cross_entropy(self.head(context.embedding))}
        """
        raise NotImplementedError(f"{type(self).__name__} defines no loss")

    def remember(self, context: StepContext) -> Memory:
        """Return the memory for the next step, with the same structure as `start`.

        >>> class MeanLogits(sd.LossTerm):
        ...     def remember(self, context):
        ...         return 0.9 * context.memory_tensor + 0.1 * context.logits.detach().mean(dim=0)
        """
        return None

    def forward(self, context: StepContext) -> tuple[LossValue, Memory]:
        """Return the loss and the next memory. Override it only if both share work.

        >>> class SteadyMean(sd.LossTerm):
        ...     def forward(self, context):
        ...         mean = context.logits.mean(dim=0)
        ...         return (mean - context.memory_tensor).square().sum(), mean.detach()
        """
        return self.loss(context), self.remember(context)

    def after_step(self) -> None:
        """Update state after the optimizer's step, such as averages of heads.

        >>> class AveragedHead(sd.LossTerm):
        ...     def after_step(self):
        ...         self.average.update_parameters(self.head)
        """

    def finish(self, student: nn.Module, classifier: str) -> None:
        """Merge trained heads into the weights of the student, or of its copy; `classifier` is the classifier's path.

        >>> class NewClassifier(sd.LossTerm):
        ...     def finish(self, student, classifier):
        ...         student.get_submodule(classifier).load_state_dict(self.head.state_dict())
        """


class CrossEntropy(LossTerm):
    """The task loss: cross-entropy with labels, mixed if the batch is mixed, and optionally smoothed.

    It is zero before the epoch `start`; if it is `rising`, its factor is the share of completed epochs.
    """

    ignores_unlabeled = True

    def __init__(self, smoothing: float = 0.0, start: float = 0.0, rising: bool = False):
        super().__init__()
        self.smoothing, self.start_epoch, self.rising = smoothing, start, rising
        self.uses_progress = start > 0 or rising

    def loss(self, context: StepContext) -> LossValue:
        """Compute the cross-entropy of the student's logits."""
        value = context.cross_entropy(context.logits, self.smoothing)
        if self.rising:
            value = value * context.progress.completed
        return value * (context.progress.epoch >= self.start_epoch) if self.start_epoch else value
