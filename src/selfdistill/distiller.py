"""One training step's passes and losses: the module that DDP wraps and torch.compile compiles."""

import zlib
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Size, Tensor, nn

from selfdistill import anatomy
from selfdistill.anatomy import Anatomy
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.probe import logits_of
from selfdistill.taps import Taps
from selfdistill.terms import Batch, Clock, Facts, Memory, Outputs, Seen, Term, View


class Step(NamedTuple):
    """What a step gives."""

    losses: dict[str, Tensor]  # by term, [] each, before their weights
    remembered: dict[str, Memory]  # by term, for the next step
    logits: Tensor  # [B, C] of the batch's images, without gradient


class Terms(nn.ModuleDict):
    """Terms by name."""

    if TYPE_CHECKING:  # that they are terms, and not any modules

        def __getitem__(self, key: str) -> Term: ...
        def values(self) -> ValuesView[Term]: ...  # noqa: D102
        def items(self) -> ItemsView[str, Term]: ...  # noqa: D102


class Networks(nn.ModuleDict):
    """Networks beside the student by role."""

    if TYPE_CHECKING:  # that they are frozen

        def __getitem__(self, key: str) -> "Frozen": ...
        def values(self) -> ValuesView["Frozen"]: ...  # noqa: D102


class Distiller(nn.Module):
    """A student and the terms that teach it, sharing its passes.

    `student` is the caller's own object: not wrapped, no weight renamed. `images` [B, 3, H, W] is an
    example of what it will see; `networks` are the teachers by role; `classifier` names the module
    that makes the logits where it cannot be found; `seed` draws the heads, leaving every other
    random stream alone. Raises `UserError` where model and method do not fit.
    """

    def __init__(
        self,
        student: nn.Module,
        method: Method,
        images: Tensor,
        *,
        networks: Mapping[str, nn.Module] | None = None,
        classifier: str | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.method = method
        self.anatomy = anatomy.read(student, images, classifier)
        self.terms = Terms(deepcopy(method.all_terms))  # a method is a value: it can be used again
        self.weights = method.weights
        taps = {name: _taps(term, self.anatomy) for name, term in self.terms.items()}
        for name, term in self.terms.items():
            _require(term, name, self.anatomy, method.text)
            _build(term, _shapes(taps[name], self.anatomy, len(images)), f"{seed}:{name}", like(student))
        self.networks = Networks({role: Frozen(each) for role, each in _cast(method, networks, student).items()})
        self.views = _views(self.terms.values())
        self.student = student  # last, so that no term can hold it and hooks are in no copy
        names = sorted({tap for each in taps.values() for tap in each} | {"embedding"})
        self.taps = Taps(student, self.anatomy, [name for name in names if self._has(name)])

    def forward(self, batch: Batch, clock: Clock, memories: Mapping[str, Memory]) -> Step:
        """Make the passes; give each term's loss before its weight, and what each remembers."""
        anchor = self._look(batch.images)
        views = {view.name: self._view(view, batch) for view in self.views}
        losses, remembered = {}, {}
        with no_autocast(anchor.logits):
            for name, term in self.terms.items():
                losses[name], remembered[name] = term(self._seen(term, batch, anchor, views, clock, memories.get(name)))
        return Step(losses, remembered, anchor.logits.detach())

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The sum of the losses times their weights. -> []."""
        return torch.stack([self.weights[name] * loss for name, loss in losses.items()]).sum()

    def task_loss(self, batch: Batch) -> Tensor:
        """The task's loss alone, of one pass of the student as it is; for validation. -> []."""
        anchor = self._look(batch.images)
        with no_autocast(anchor.logits):
            zero = anchor.logits.new_zeros(())
            seen = Seen(batch, *anchor, {}, self._classify, Clock(zero, zero, zero))
            return self.terms["task"].loss(seen)

    def facts(self, batch: int) -> Facts:
        """What terms may know before the first step of so many rows."""
        embedding = self.anatomy.embedding
        return Facts(self.anatomy.logits[-1], embedding[-1] if embedding else None, batch, like(self.student))

    def close(self) -> nn.Module:
        """Take every trace of training from the student, and return it; teachers are as they were."""
        self.taps.close()
        for each in self.networks.values():
            each.release()
        return self.student

    def _seen(
        self,
        term: Term,
        batch: Batch,
        anchor: Outputs,
        views: Mapping[str, tuple[Outputs, Outputs]],
        clock: Clock,
        memory: Memory,
    ) -> Seen:
        """What this term may see: of the views it asked for, with gradient only where it asked."""
        shown = {view.name: views[view.name][0 if view.grad else 1] for view in term.views}
        return Seen(batch, *anchor, shown, self._classify, clock, memory)

    def _view(self, view: View, batch: Batch) -> tuple[Outputs, Outputs]:
        """One pass, as those see it who asked for a gradient and those who did not."""
        images = batch.extra[view.source] if view.source else batch.images
        if view.network == "student":
            shown = self._look(images, view.grad)
        else:
            with torch.no_grad():
                shown = Outputs(_full(logits_of(self.networks[view.network](images))), None, {})
        return shown, _detached(shown)

    def _look(self, images: Tensor, grad: bool = True) -> Outputs:
        self.taps.record()
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            logits = _full(logits_of(self.student(images)))
            features = {name: _full(feature) for name, feature in self.taps.take().items()}
        return Outputs(logits, features.pop("embedding", None), features)

    def _classify(self, embedding: Tensor) -> Tensor:
        """What the student's classifier says of any embeddings, without gradient. [*, D] -> [*, C]."""
        module = self.student.get_submodule(str(self.anatomy.classifier))
        inputs = embedding.to(next(module.parameters()).dtype).reshape(-1, *self.anatomy.classifier_input or ())
        with torch.no_grad():
            return _full(module(inputs)).reshape(*embedding.shape[:-1], -1)

    def _has(self, name: str) -> bool:
        return name != "embedding" or self.anatomy.classifier is not None


class Frozen(nn.Module):
    """A network that never trains, whatever mode its owner is put in."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self._modes = {module: module.training for module in network.modules()}
        self._trained = [each for each in network.parameters() if each.requires_grad]
        self.network = network.eval().requires_grad_(False)

    def release(self) -> None:
        """Give the network back the modes and gradients it came with."""
        for module, mode in self._modes.items():
            module.training = mode
        for each in self._trained:
            each.requires_grad_()

    def train(self, mode: bool = True) -> "Frozen":
        """Stay in eval mode, so that no running statistic moves."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Give the network's answer."""
        return self.network(images)


def like(student: nn.Module) -> Tensor:
    """A zero of the student's device and of its dtype, float32 at least. -> []."""
    return _full(next(student.parameters()).detach().new_zeros(()))


def no_autocast(on: Tensor) -> torch.autocast:
    """Terms compute in full precision whatever the passes did."""
    return torch.autocast(on.device.type, enabled=False)


def _full(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _detached(shown: Outputs) -> Outputs:
    embedding = None if shown.embedding is None else shown.embedding.detach()
    return Outputs(shown.logits.detach(), embedding, {k: v.detach() for k, v in shown.features.items()})


def _taps(term: Term, found: Anatomy) -> list[str]:
    """The taps of a term by name, "stages" spelled out."""
    named = [found.stages_named(term.maps) if tap == "stages" else [tap] for tap in term.taps]
    return [tap for each in named for tap in each]


def _require(term: Term, name: str, found: Anatomy, text: str) -> None:
    if term.reads and found.classifier is None:
        raise UserError(
            f"{text} reads the {' and the '.join(term.reads)} (term {name!r}), but no one module makes this "
            "model's logits; pass classifier='head', the path of the module to read"
        )


def _shapes(taps: list[str], found: Anatomy, rows: int) -> dict[str, Size]:
    shapes = {tap: Size((rows, *found.stage(tap).shape[1:])) for tap in taps}
    return shapes | {"logits": found.logits} | ({"embedding": found.embedding} if found.embedding else {})


def _build(term: Term, shapes: Mapping[str, Size], stream: str, like: Tensor) -> None:
    """Make a term's heads from a random stream of their own."""
    with own_stream(stream):
        term.build(shapes)
    term.to(like)


@contextmanager
def own_stream(name: str) -> Iterator[None]:
    """Draw from a stream of this name, and leave torch's own where it was."""
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(name.encode()))
        yield


def _cast(method: Method, networks: Mapping[str, nn.Module] | None, student: nn.Module) -> dict[str, nn.Module]:
    """The network of each role the method names."""
    given = dict(networks or {})
    for role in method.networks:
        if not isinstance(given.get(role), nn.Module):
            raise UserError(
                f"{method.text} needs a {role}: pass networks={{'{role}': a trained model}}, or name one in a run "
                f"of the command, as in {method.text.split('(')[0]}({role}='runs/NAME')"
            )
        if {id(each) for each in given[role].parameters()} & {id(each) for each in student.parameters()}:
            raise UserError(
                f"the {role} shares weights with the student, and would freeze them; pass a copy.deepcopy of it"
            )
    if extra := given.keys() - method.networks.keys():
        raise UserError(f"{method.text} has no role for the network {min(extra)!r}; leave it out")
    return given


def _views(terms: Iterable[Term]) -> tuple[View, ...]:
    """Each view once; with gradient if any term asks for it."""
    asked: dict[str, View] = {}
    for view in (view for term in terms for view in term.views):
        if view.name not in asked or view.grad:
            asked[view.name] = view
    return tuple(asked.values())
