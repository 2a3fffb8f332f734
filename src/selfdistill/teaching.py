"""The plain-loop face: a callable that gives the loss of a step and remembers what its terms must."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from selfdistill import memory
from selfdistill.distiller import Distiller, Terms, like
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.methods import method as named
from selfdistill.mixing import Mixing
from selfdistill.needs import KEYS, Need
from selfdistill.terms import Batch, Clock, Memory


def teach(model: nn.Module, method: str | Method, images: Tensor, **options: Any) -> "Teach":
    """Teach a model by a method, in a training loop of your own.

    `images` [B, 3, H, W] is a batch as the loop will bring it. Options: `networks` (teachers by
    role), `classifier`, `seed`, `epochs` and `steps_per_epoch` (for methods that read time),
    `dataset_size` (for methods that remember each image), `accumulate` (batches per optimiser step).
    Raises `UserError` where method and model do not fit.

        teach = sd.teach(model, "drg() + dsr()", images)
        optimizer = torch.optim.SGD(teach.parameters(), lr=0.1)
        loss = teach(images, labels)
        model = teach.close()
    """
    return Teach(model, named(method), images, **options)


class Teach(nn.Module):
    """A step as a callable: images and labels in, a scalar loss out.

    After a call its parts lie in `losses`, by term and before their weights, and `logits` [B, C] are those
    of the batch, for a training accuracy.

    Memory rides in `state_dict()`. With the student in eval mode, or without gradient, a call gives
    the cross-entropy and remembers nothing.
    """

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
        _require_own_loop(method)
        self.method = method
        self.step = Distiller(model, method, images, networks=networks, classifier=classifier, seed=seed)
        self.epochs, self.steps_per_epoch, self.accumulate = epochs, steps_per_epoch, accumulate
        self.dataset_size = dataset_size
        _require_time(self)
        _require_size(self)
        self.losses: dict[str, Tensor] = {}
        self.logits: Tensor | None = None
        self._draws = Generator().manual_seed(seed)
        self._started, self._closed = 0, False
        self._versions: tuple[int, ...] = (0, 0)
        self._start(len(images))

    @property
    def student(self) -> nn.Module:
        """The model that is taught: the caller's own object."""
        return self.step.student

    @property
    def mixing(self) -> Mixing | None:
        """How the method wants its batches mixed."""
        return self.method.mixing

    @property
    def needs(self) -> Mapping[str, Need]:
        """What the method asks of the data beside images and labels."""
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

        `remember=False` leaves the memory as it is, for optimisers that evaluate a batch twice.
        """
        batch = images if isinstance(images, Batch) else _batch(images, labels, index, extra)
        self._require_open()
        if not (self.student.training and torch.is_grad_enabled()):
            return self.step.task_loss(batch)
        return self._train(self._ready(batch), remember)

    def close(self) -> nn.Module:
        """End the teaching: the model comes back without a trace of it."""
        if self._started and not self._closed:
            self.step.after_step()
        self._closed = True
        return self.step.close()

    def get_extra_state(self) -> dict[str, Any]:
        """Memory, time and draws, for `state_dict`."""
        state = {"memories": self._memories, "rows": self._rows, "calls": self._calls}
        return state | {"started": self._started, "slot": self._slot, "draws": self._draws.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take up memory, time and draws where `get_extra_state` left them."""
        self._memories, self._rows, self._calls = state["memories"], state["rows"], state["calls"]
        self._started, self._slot = state["started"], state["slot"]
        self._draws.set_state(state["draws"].cpu())

    def _start(self, rows: int) -> None:
        """Memories for batches of so many rows: one for each slot of accumulation."""
        self._rows, self._slot = rows, 0
        self._calls = like(self.student)  # a tensor: a number would be compiled in
        facts = self.step.facts(rows, self.dataset_size)
        self._fresh = memory.start(self._terms, facts)  # tensors of its own: shared ones would be compiled in as one
        self._memories = [memory.start(self._terms, facts) for _ in range(self.accumulate)]

    @property
    def _terms(self) -> Terms:
        return self.step.terms

    def _train(self, batch: Batch, remember: bool) -> Tensor:
        memories = self._renewed(self._memories[self._slot])
        if self._started > 1 and self._slot == 0 and remember:
            self.step.after_step()  # the optimiser's last step is known to be done when the next batch comes
        step = self.step(batch, self._clock(), memories)
        self.losses = {name: loss.detach() for name, loss in step.losses.items()}
        self.logits = step.logits
        if remember:
            self._remember(memory.commit(memories, step.remembered))
        return self.step.total(step.losses)

    def _remember(self, memories: dict[str, Memory]) -> None:
        """Keep this slot's memories; those of the whole run are every slot's."""
        self._memories[self._slot] = memories
        shared = {name: memories[name] for name, term in self._terms.items() if term.memory_scope == "run"}
        for each in self._memories:
            each.update(shared)
        self._slot = (self._slot + 1) % self.accumulate
        self._calls = self._calls + 1

    def _clock(self) -> Clock:
        """Where this call stands; at the start for ever where the epochs are not known."""
        if self.epochs is None or self.steps_per_epoch is None:
            return Clock(*(torch.zeros_like(self._calls),) * 3)
        steps = torch.div(self._calls, self.accumulate, rounding_mode="floor")
        epoch = torch.div(steps, self.steps_per_epoch, rounding_mode="floor")
        epochs = torch.full_like(steps, self.epochs)
        return Clock(epoch, epochs, steps / (self.epochs * self.steps_per_epoch))

    def _renewed(self, memories: dict[str, Memory]) -> dict[str, Memory]:
        """Start again, at an epoch's first step, what forgets by the epoch."""
        if self.steps_per_epoch is None:
            return memories
        first = self._calls % (self.steps_per_epoch * self.accumulate) < self.accumulate
        return {
            name: memory.where(first, self._fresh[name], memories[name]) if term.forget == "epoch" else memories[name]
            for name, term in self._terms.items()
        }

    def _ready(self, batch: Batch) -> Batch:
        """The batch with all that the method needs; `UserError` where something is missing."""
        _require_rows(self, batch)
        if self.method.erasing:
            batch = self.method.erasing(batch, self._draws)
        if self.mixing and batch.mix is None:
            batch = self.mixing(batch, self._draws)
        _require_extra(self, batch)
        if not torch.compiler.is_compiling():
            self._meet(batch)
        return batch

    def _meet(self, batch: Batch) -> None:
        """At the first call fit memory to the batch and device; at the second see that heads are trained."""
        if self._started == 0 and (len(batch.images) != self._rows or self._calls.device != batch.images.device):
            self._start(len(batch.images))
        if self._started == self.accumulate:
            _require_optimised(self)
        if self._started == 0:
            self._versions = _versions(self)
        self._started = min(self._started + 1, self.accumulate + 1)

    def _require_open(self) -> None:
        if self._closed:
            raise UserError("this teach was closed; call sd.teach(model, …) again to go on teaching")


def _batch(images: Tensor, labels: Tensor | None, index: Tensor | None, extra: Mapping[str, Tensor]) -> Batch:
    if labels is None:
        raise UserError("teach needs labels beside images: teach(images, labels), or a Batch of sd.loader")
    return Batch(images, labels, index, None, extra)


def _require_time(teach: Teach) -> None:
    timed = [name for name, term in teach.step.terms.items() if term.timed]
    if timed and (teach.epochs is None or teach.steps_per_epoch is None):
        raise UserError(
            f"{teach.method.text} changes as training goes (term {timed[0]!r}); "
            "pass sd.teach(…, epochs=…, steps_per_epoch=…)"
        )


def _require_rows(teach: Teach, batch: Batch) -> None:
    for name, term in teach.step.terms.items():
        if len(batch.labels) < term.rows:
            raise UserError(
                f"{teach.method.text} compares the rows of a batch (term {name!r}) and needs {term.rows} at "
                f"least, but this batch has {len(batch.labels)}; take larger batches"
            )


def _require_extra(teach: Teach, batch: Batch) -> None:
    for name in _asked(teach):
        if (batch.index is None) if name == "index" else (name not in batch.extra):
            raise UserError(
                f"{teach.method.text} also needs `{name}`: {_WORDS.get(name, 'images [B, 3, H, W]')}; pass "
                f"teach(images, labels, {name}=…), or take batches from sd.loader(dataset, teach, …)"
            )


def _asked(teach: Teach) -> Iterator[str]:
    """Names of what a batch must bring beside images and labels."""
    if any(term.indexed for term in teach.step.terms.values()):
        yield "index"
    yield from (view.source for view in teach.step.views if view.source)
    for key in teach.needs:
        yield from KEYS[key]


_WORDS = {
    "index": "each row's place in the data set [B]",
    "peer": "for each row another image of its class [B, 3, H, W]",
    "twin": "the same images augmented once more [B, 3, H, W]",
    "last": "the images of the batch before [B, 3, H, W]",
    "last_labels": "the labels of the batch before [B]",
    "negatives": "for each row places of images of other classes [B, K]",
}


def _require_own_loop(method: Method) -> None:
    if method.gap is not None:
        raise UserError(
            f"{method.text} changes the optimiser, and yours is your own; train with the command instead: "
            f"selfdistill train {method.text!r}"
        )


def _require_size(teach: Teach) -> None:
    indexed = [name for name, term in teach.step.terms.items() if term.indexed]
    if indexed and not teach.dataset_size:
        raise UserError(
            f"{teach.method.text} remembers something of each training image (term {indexed[0]!r}); "
            "pass sd.teach(…, dataset_size=len(dataset))"
        )


def _versions(teach: Teach) -> tuple[int, ...]:
    """How often the student's and the heads' parameters have been written to."""
    heads = sum(each._version for each in teach.step.terms.parameters())
    return sum(each._version for each in teach.student.parameters()), heads


def _require_optimised(teach: Teach) -> None:
    (student, heads), (student_now, heads_now) = teach._versions, _versions(teach)
    if student_now > student and heads_now == heads and any(True for _ in teach.step.terms.parameters()):
        raise UserError(
            f"the optimiser trains the student but not the heads of {teach.method.text}; "
            "make it over teach.parameters(), not model.parameters()"
        )
