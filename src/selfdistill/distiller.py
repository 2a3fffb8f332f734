"""One training step's passes and losses: the module that DDP wraps and torch.compile compiles."""

import zlib
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Size, Tensor, nn

from selfdistill import anatomy
from selfdistill.anatomy import Anatomy
from selfdistill.beside import Beside, beside
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.probe import logits_of, probe
from selfdistill.roles import Past, Role, Teacher
from selfdistill.tail import Tail
from selfdistill.taps import Taps
from selfdistill.terms import Batch, Clock, Facts, Memory, Outputs, Parts, Seen, Term, Value, View


class Step(NamedTuple):
    """What a step gives."""

    losses: dict[str, Tensor]  # by term, or "term.learn" and "term.mimic"; [] each, before their weights
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

    if TYPE_CHECKING:  # what they are

        def __getitem__(self, key: str) -> Beside: ...
        def values(self) -> ValuesView[Beside]: ...  # noqa: D102
        def items(self) -> ItemsView[str, Beside]: ...  # noqa: D102


class Distiller(nn.Module):
    """A student and the terms that teach it, sharing its passes.

    `student` is the caller's own object: not wrapped, no weight renamed. `images` [B, 3, H, W] is an
    example of what it will see; `networks` are teachers and peers by role; `classifier` names the module
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
        self.views = _views(self.terms.values())
        images = images.to(like(student))
        self.networks = Networks(_cast(method, networks, student, self.views, images, seed))
        taps = {name: _taps(term, self.anatomy) for name, term in self.terms.items()}
        for name, term in self.terms.items():
            _require(term, name, self.anatomy, method.text)
            parts = Parts(
                _shapes(taps[name], self.anatomy, len(images)), self._shapes_beside(term), self._tail(student)
            )
            _build(term, parts, f"{seed}:{name}", like(student))
        self.student = student  # last, so that no term can hold it and hooks are in no copy
        names = sorted({tap for each in taps.values() for tap in each} | {"embedding"})
        self.taps = Taps(student, self.anatomy, [name for name in names if self._has(name)])

    def forward(self, batch: Batch, clock: Clock, memories: Mapping[str, Memory]) -> Step:
        """Make the passes; give each term's loss before its weight, and what each remembers."""
        return self.judge(batch, *self.passes(batch), clock, memories)

    def judge(
        self,
        batch: Batch,
        anchor: Outputs,
        views: Mapping[str, Outputs],
        clock: Clock,
        memories: Mapping[str, Memory],
    ) -> Step:
        """What the terms make of what the passes showed."""
        losses, remembered = {}, {}
        with no_autocast(anchor.logits):
            for name, term in self.terms.items():
                seen = self._seen(term, batch, anchor, views, clock, memories.get(name))
                value, remembered[name] = term(seen)
                losses.update(_named(name, value))
        return Step(losses, remembered, anchor.logits.detach())

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """The sum of the losses times their weights. -> []."""
        return torch.stack([self.weight(name) * loss for name, loss in losses.items()]).sum()

    def in_two(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The same sum in two: what learns the labels, and what imitates. -> [], []."""
        zero = next(iter(losses.values())) * 0
        mimic = {name: loss for name, loss in losses.items() if imitates(name)}
        learn = {name: loss for name, loss in losses.items() if name not in mimic}
        return self.total(learn) if learn else zero, self.total(mimic) if mimic else zero

    def weight(self, loss: str) -> float:
        """What a loss of this name counts in the total; nothing where it imitates in a control."""
        weight = self.method.weights[loss.partition(".")[0]]
        return 0.0 if self.method.control and imitates(loss) else weight

    def task_loss(self, batch: Batch) -> Tensor:
        """The cross-entropy of one pass of the student as it is; for validation. -> []."""
        anchor = self._look(batch.images)
        with no_autocast(anchor.logits):
            zero = anchor.logits.new_zeros(())
            return self._seen_alone(batch, anchor, Clock(zero, zero, zero)).learn(anchor.logits)

    def facts(self, batch: int, images: int = 0) -> Facts:
        """What terms may know before the first step of so many rows, of so many training images."""
        embedding = self.anatomy.embedding
        return Facts(self.anatomy.logits[-1], embedding[-1] if embedding else None, batch, like(self.student), images)

    def after_step(self) -> None:
        """Let averages and copies follow what the optimiser did."""
        for network in self.networks.values():
            network.after_step()
        for term in self.terms.values():
            term.after_step()

    def deployed(self) -> nn.Module:
        """The network as it would be deployed now: the student itself, or a copy where something is folded in."""
        if self.method.deploys is None and not any(_folds(term) for term in self.terms.values()):
            return self.student
        return self._folded(deepcopy(self.student))

    def close(self) -> nn.Module:
        """Take every trace of training from the student, and return it; teachers are as they were."""
        self.taps.close()
        for each in self.networks.values():
            each.close()
        return self._folded(self.student)

    def _folded(self, student: nn.Module) -> nn.Module:
        """The student with what was trained beside it folded into its weights."""
        for term in self.terms.values():
            term.finish(student, str(self.anatomy.classifier))
        if self.method.deploys is not None:
            student.load_state_dict(self.networks[self.method.deploys].network.state_dict())
        return student

    def _tail(self, student: nn.Module) -> "partial[Tail]":
        images = torch.zeros(2, *self.anatomy.images).to(like(student))
        return partial(_cut, student, images, self.anatomy)

    def _shapes_beside(self, term: Term) -> dict[str, Mapping[str, Size]]:
        return {view.name: self.networks[view.network].shapes for view in term.views if view.network in self.networks}

    def _seen(
        self,
        term: Term,
        batch: Batch,
        anchor: Outputs,
        views: Mapping[str, Outputs],
        clock: Clock,
        memory: Memory,
    ) -> Seen:
        """What this term may see: of the views it asked for, with gradient only where it asked."""
        shown = {view.name: views[view.name] if view.grad else _detached(views[view.name]) for view in term.views}
        return replace(self._seen_alone(batch, anchor, clock), views=shown, memory=memory)

    def _seen_alone(self, batch: Batch, anchor: Outputs, clock: Clock) -> Seen:
        return Seen(batch, *anchor, {}, self._classify, self._directions(), clock)

    def passes(self, batch: Batch) -> tuple[Outputs, dict[str, Outputs]]:
        """The anchor's pass with the views that are joined to it, and the others, each its own."""
        joint = [view for view in self.views if view.joint]
        together = [batch.images, *(_images(view, batch) for view in joint)]
        anchor, *others = _split(self._look(torch.cat(together)), [len(each) for each in together])
        views = dict(zip((view.name for view in joint), others, strict=True))
        apart = {view.name: self._view(view, batch) for view in self.views if not view.joint}
        return anchor, {**views, **apart}

    def _view(self, view: View, batch: Batch) -> Outputs:
        images = _images(view, batch)
        if view.network == "student":
            return self._look(images, view.grad)
        with torch.set_grad_enabled(view.grad and torch.is_grad_enabled()):
            return _in_full(self.networks[view.network](images))

    def _look(self, images: Tensor, grad: bool = True) -> Outputs:
        self.taps.record()
        with torch.set_grad_enabled(grad and torch.is_grad_enabled()):
            logits = logits_of(self.student(images))
            features = self.taps.take()
            return _in_full(Outputs(logits, features.pop("embedding", None), features))

    def _classify(self, embedding: Tensor) -> Tensor:
        """What the student's classifier says of any embeddings, without gradient. [*, D] -> [*, C]."""
        module = self._classifier()
        inputs = embedding.to(next(module.parameters()).dtype).reshape(-1, *self.anatomy.classifier_input or ())
        with torch.no_grad():
            return _full(module(inputs)).reshape(*embedding.shape[:-1], -1)

    def _classifier(self) -> nn.Module:
        return self.student.get_submodule(str(self.anatomy.classifier))

    def _directions(self) -> Tensor | None:
        if not self.anatomy.linear:
            return None
        weight = self._classifier().get_parameter("weight")
        return _full(weight).flatten(1)

    def _has(self, name: str) -> bool:
        return name != "embedding" or self.anatomy.classifier is not None


def imitates(loss: str) -> bool:
    """Whether a loss of this name is distillation: "guidance.mimic", or a term's that has no parts."""
    term, _, part = loss.partition(".")
    return part == "mimic" or (not part and term != "task")


def like(student: nn.Module) -> Tensor:
    """A zero of the student's device and of its dtype, float32 at least. -> []."""
    return _full(next(student.parameters()).detach().new_zeros(()))


def no_autocast(on: Tensor) -> torch.autocast:
    """Terms compute in full precision whatever the passes did."""
    return torch.autocast(on.device.type, enabled=False)


@contextmanager
def own_stream(name: str) -> Iterator[None]:
    """Draw from a stream of this name, and leave torch's own where it was."""
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(name.encode()))
        yield


def _full(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _in_full(shown: Outputs) -> Outputs:
    embedding = None if shown.embedding is None else _full(shown.embedding)
    return Outputs(_full(shown.logits), embedding, {name: _full(each) for name, each in shown.features.items()})


def _detached(shown: Outputs) -> Outputs:
    embedding = None if shown.embedding is None else shown.embedding.detach()
    return Outputs(shown.logits.detach(), embedding, {k: v.detach() for k, v in shown.features.items()})


def _split(shown: Outputs, rows: list[int]) -> list[Outputs]:
    """One pass's outputs as those of its parts of so many rows."""
    if len(rows) == 1:
        return [shown]
    embeddings = [None] * len(rows) if shown.embedding is None else shown.embedding.split(rows)
    features = {name: each.split(rows) for name, each in shown.features.items()}
    parts = zip(shown.logits.split(rows), embeddings, strict=True)
    return [Outputs(*part, {name: each[k] for name, each in features.items()}) for k, part in enumerate(parts)]


def _images(view: View, batch: Batch) -> Tensor:
    images = batch.extra[view.source] if view.source else batch.images
    return view.make(images) if view.make else images


def _named(name: str, value: Value) -> dict[str, Tensor]:
    if isinstance(value, Tensor):
        return {name: value}
    return {f"{name}.{part}": loss for part, loss in value.items()}


def _folds(term: Term) -> bool:
    return type(term).finish is not Term.finish


def _cut(student: nn.Module, images: Tensor, found: Anatomy, tap: str) -> Tail:
    return Tail(student, probe(student, images)[0], found, tap)


def _taps(term: Term, found: Anatomy) -> list[str]:
    """The taps of a term by name, "stages" spelled out."""
    return [name for tap in term.taps for name in found.spelled_out(tap, term.maps)]


def _require(term: Term, name: str, found: Anatomy, text: str) -> None:
    if term.reads and found.classifier is None:
        raise UserError(
            f"{text} reads the {' and the '.join(term.reads)} (term {name!r}), but no one module makes this "
            "model's logits; pass classifier='head', the path of the module to read"
        )
    if "directions" in term.reads and not found.linear:
        raise UserError(
            f"{text} reads the weight of a linear classifier (term {name!r}), but {found.classifier!r} is none; "
            "take a model that ends in a linear layer"
        )


def _shapes(taps: list[str], found: Anatomy, rows: int) -> dict[str, Size]:
    shapes = {tap: Size((rows, *found.stage(tap).shape[1:])) for tap in taps}
    return shapes | {"logits": found.logits} | ({"embedding": found.embedding} if found.embedding else {})


def _build(term: Term, parts: Parts, stream: str, like: Tensor) -> None:
    """Make a term's heads from a random stream of their own."""
    with own_stream(stream):
        term.build(parts)
    term.to(like)


def _cast(
    method: Method,
    given: Mapping[str, nn.Module] | None,
    student: nn.Module,
    views: Iterable[View],
    images: Tensor,
    seed: int,
) -> dict[str, Beside]:
    """The network of each role the method names."""
    given = dict(given or {})
    if extra := given.keys() - method.networks.keys():
        raise UserError(f"{method.text} has no role for the network {min(extra)!r}; leave it out")
    found: dict[str, Beside] = {}
    for name, role in sorted(method.networks.items(), key=lambda each: isinstance(each[1], Past)):
        _require_given(name, role, given, student, method.text)
        of = getattr(role, "of", "student")
        followed = student if of == "student" else found[of].network
        tapped = list(dict.fromkeys(tap for view in views if view.network == name for tap in view.taps))
        with own_stream(f"{seed}:{name}"):
            found[name] = beside(role, given.get(name), followed, images, tapped)
    return found


def _require_given(name: str, role: Role, given: Mapping[str, nn.Module], student: nn.Module, text: str) -> None:
    """Raise `UserError` for a role that nobody plays, or that the student plays itself."""
    network = given.get(name)
    if isinstance(role, Teacher) and not isinstance(network, nn.Module):
        raise UserError(
            f"{text} needs a {name}: pass networks={{'{name}': a trained model}}, or name one in a run "
            f"of the command, as in {text.split('(')[0]}({name}='runs/NAME')"
        )
    if network is not None and {*map(id, network.parameters())} & {*map(id, student.parameters())}:
        raise UserError(
            f"the {name} shares weights with the student, and would freeze them; pass a copy.deepcopy of it"
        )


def _views(terms: Iterable[Term]) -> tuple[View, ...]:
    """Each view once: with gradient if any term asks for it, with all that any reads in it."""
    asked: dict[str, View] = {}
    for view in (view for term in terms for view in term.views):
        known = asked.get(view.name, view)
        taps = tuple(dict.fromkeys((*known.taps, *view.taps)))
        asked[view.name] = replace(known, grad=known.grad or view.grad, taps=taps)
    return tuple(asked.values())
