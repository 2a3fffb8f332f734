"""Where the stages, the embedding and the classifier of any image classifier are, without its names.

The rule. Trunk: module outputs that every path from images to logits crosses. Segments: runs of the
trunk of one resolution. A stage ends at the module of the shallowest path, not overwritten in place,
with a quarter of its segment's parameters behind it; the last four are kept. Where one segment holds
all residual joins (a transformer), stages are thirds of its joins.
"""

import copy
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.layout import Layout, layout_of
from selfdistill.probe import Call, Pass, logits_of, record
from selfdistill.trunk import Trunk

STAGES, BLOCK_STAGES = 4, 3
DROP = 0.75  # a resolution below this share of the one before opens a segment
BEHIND = 0.25  # share of a segment's parameters that a stage's end has behind it at least


@dataclass(frozen=True)
class Stage:
    """An inner activation: what it is called, where it is, what it hands out."""

    name: str  # "stage1"; for a tap by path, the path
    path: str  # of the module whose output it is
    shape: Size  # as handed out: [B, D, H, W] or [B, N, D], of the probe's two images
    layout: Layout  # how the model itself lays it out


@dataclass(frozen=True)
class Anatomy:
    """What one probe pass found."""

    model: str  # its class, for messages
    stages: tuple[Stage, ...]
    others: dict[str, Stage]  # every other module's output that can be tapped, by path
    overwritten: dict[str, str]  # path: the module to tap instead
    classifier: str | None  # path of the module whose output is the logits
    classifier_input: tuple[int, ...]  # its shape behind the batch
    logits: Size
    embedding: Size | None  # flattened to [B, D]
    idle: tuple[str, ...]  # trainable parameters that get no gradient in training

    def stage(self, name: str) -> Stage:
        """The stage or tap of a name: "stage2", "stage-1", or a module's path. Raises `UserError`."""
        by_name = {each.name: each for each in self.stages}
        counted = {f"stage-{k}": each for k, each in enumerate(reversed(self.stages), start=1)}
        by_path = {each.path: each for each in self.stages}
        for known in (by_name, counted, by_path, self.others):
            if name in known:
                return known[name]
        raise self._unknown(name)

    def stages_named(self, maps: bool = False) -> list[str]:
        """The stages by name; with `maps`, those of 2x2 positions or two tokens at least."""
        return [each.name for each in self.stages if not maps or _positions(each) >= (4 if len(each.shape) == 4 else 2)]

    def _unknown(self, name: str) -> UserError:
        if name in self.overwritten:
            return UserError(
                f"what follows {name!r} changes it in place, so a tap there would read changed values; "
                f"tap {self.overwritten[name]!r} instead"
            )
        found = ", ".join(f"{each.name} ({each.path})" for each in self.stages) or "none"
        near = get_close_matches(name, self.others, n=3)
        hint = f", or did you mean {' or '.join(near)}" if near else ""
        return UserError(f"{self.model} has nothing to tap at {name!r}; its stages are {found}{hint}")


def read(model: nn.Module, images: Tensor, classifier: str | None = None) -> Anatomy:
    """Find the parts of a model from one pass over two of these images [B, 3, H, W].

    The pass is made on a copy and under random streams of its own, so that the model, its modes and
    every draw after stay as they were. `classifier` names the module whose output is the logits.
    Raises `UserError` for what cannot be read, with the way out.
    """
    refuse_wrapped(model)
    with torch.random.fork_rng():
        copied = copy.deepcopy(model)
        two = _two(images, copied)
        idle = _idle(copied, two, type(model).__name__)
        shown = _run(lambda: record(copied.eval(), two), two, type(model).__name__)
    trunk = Trunk(shown.logits, shown.images)
    head = _classifier(shown, classifier, model)
    return Anatomy(
        model=type(model).__name__,
        stages=tuple(_named(_stage_calls(shown, trunk))),
        others=_others(shown),
        overwritten=_overwritten(shown),
        classifier=head and head.path,
        classifier_input=tuple(head.input.shape[1:]) if head and head.input is not None else (),
        logits=shown.logits.shape,
        embedding=head.input.flatten(1).shape if head and head.input is not None else None,
        idle=idle,
    )


def refuse_wrapped(model: nn.Module) -> None:
    """Raise `UserError` for a model whose modules cannot be read, naming what to do instead."""
    if not isinstance(model, nn.Module):
        raise UserError(f"a model to be taught is an nn.Module, but this is a {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise UserError("a ScriptModule takes no hooks; teach the model that it was scripted from")
    if hasattr(model, "_orig_mod") or getattr(model, "_compiled_call_impl", None) is not None:
        raise UserError("the model is compiled; compile the step, not the model: torch.compile(teach)")
    kind = type(model).__name__
    if kind in ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel") or "FSDP" in kind:
        raise UserError(
            f"the model is wrapped in {kind}; wrap the teach, not the model, so that heads are synchronised "
            "too: DistributedDataParallel(sd.teach(model, …))"
        )


def _two(images: Tensor, model: nn.Module) -> Tensor:
    """Two of the images, as the model's first parameter would have them."""
    if not isinstance(images, Tensor) or images.dim() != 4 or not len(images):
        shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise UserError(f"images are a tensor [B, 3, H, W] of one image at least, but this is {shape}")
    first = next(model.parameters(), None)
    if first is None:
        raise UserError(f"{type(model).__name__} has no parameters to train")
    two = images[:2] if len(images) > 1 else torch.cat([images, images.flip(3)])
    return two.detach().to(first.device, first.dtype)


def _run(make: Callable[[], Any], images: Tensor, name: str) -> Any:
    try:
        return make()
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        if isinstance(error, UserError):
            raise
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        size = "x".join(map(str, images.shape[2:]))
        raise UserError(
            f"{name} cannot run on images of {images.shape[1]} channels and {size} pixels: {why}; "
            "take the size it was made for, or make it for this one"
        ) from None


def _idle(model: nn.Module, images: Tensor, name: str) -> tuple[str, ...]:
    """Names of trainable parameters that a training pass leaves without gradient."""
    model.train()
    with torch.enable_grad():
        logits = _run(lambda: logits_of(model(images)), images, name)
    if logits.dim() != 2:
        raise UserError(f"{name} gives {tuple(logits.shape)} for its logits; a classifier gives [B, C]")
    trained = {key: each for key, each in model.named_parameters() if each.requires_grad}
    if not trained or logits.grad_fn is None:
        return tuple(trained)
    grads = torch.autograd.grad(logits.sum(), list(trained.values()), allow_unused=True)
    return tuple(key for key, grad in zip(trained, grads, strict=True) if grad is None)


def _classifier(shown: Pass, wanted: str | None, model: nn.Module) -> Call | None:
    """The first module to finish, with parameters, whose output is the logits."""
    logits = shown.logits.detach().flatten(1)
    if wanted is not None:
        return _wanted_classifier(shown, wanted, model)
    for call in shown.calls:
        if _gives(call, logits) and call.input is not None and any(True for _ in call.module.parameters()):
            return call
    return None


def _gives(call: Call, logits: Tensor) -> bool:
    """Whether a module's output is the logits [B, C], with or without positions of size one."""
    same = call.output.numel() == logits.numel() and len(call.output) == len(logits)
    return same and torch.equal(call.output.detach().reshape(logits.shape), logits)


def _wanted_classifier(shown: Pass, wanted: str, model: nn.Module) -> Call:
    for call in shown.calls:
        if call.path == wanted and call.output.flatten(1).shape == shown.logits.shape:
            return call
    shaped = [call.path for call in shown.calls if call.output.flatten(1).shape == shown.logits.shape]
    raise UserError(
        f"{type(model).__name__} has no module {wanted!r} that gives logits {tuple(shown.logits.shape)}; "
        f"these do: {', '.join(dict.fromkeys(shaped)) or 'none'}"
    )


@dataclass(frozen=True)
class Point:
    """A tensor of the trunk: the modules that hand it out, outermost first."""

    calls: tuple[Call, ...]
    layout: Layout
    resolution: int  # H·W or N
    done: int  # parameters used when it was made
    join: bool  # it closes a residual join

    @property
    def outer(self) -> Call:
        """The module of the shallowest path."""
        return self.calls[0]

    @property
    def usable(self) -> bool:
        """Whether a hook there reads what the trunk goes on with."""
        return not self.outer.overwritten and self.outer.times == 1


def _points(shown: Pass, trunk: Trunk) -> list[Point]:
    """The trunk's tensors that are maps or tokens, in the order they are made."""
    used = _parameters_used(shown.calls)
    groups: dict[object, list[Call]] = {}
    for call in shown.calls:
        if call.node in trunk and len(call.output) == len(shown.images) and layout_of(call) is not None:
            groups.setdefault(call.node, []).append(call)
    points = []
    for node, calls in sorted(groups.items(), key=lambda item: item[1][0].order):
        outer = min(calls, key=lambda call: call.depth)
        layout = layout_of(outer)
        assert layout is not None
        join = trunk.joins(node, groups)  # type: ignore[arg-type]
        ordered = (outer, *(call for call in calls if call is not outer))
        points.append(Point(ordered, layout, layout.resolution(outer.shape), used[calls[0].order], join))
    return points


def _parameters_used(calls: list[Call]) -> list[int]:
    """How many parameters the calls up to each one hold."""
    used, total, met = [], 0, set()
    for call in calls:
        if call.module not in met:
            met.add(call.module)
            total += sum(each.numel() for each in call.module.parameters(recurse=False))
        used.append(total)
    return used


def _stage_calls(shown: Pass, trunk: Trunk) -> list[Call]:
    """The module call at the end of each stage, shallow to deep."""
    segments = _segments(_points(shown, trunk))
    joined = [points for points, _ in segments if any(point.join for point in points)]
    if len(joined) == 1 or (len(segments) == 1 and segments):
        blocks = _blocks(joined[0] if joined else segments[0][0])
        if len(blocks) >= BLOCK_STAGES:
            thirds = [-(-len(blocks) * k // BLOCK_STAGES) - 1 for k in range(1, BLOCK_STAGES + 1)]
            return [blocks[third].outer for third in thirds]
    ends = [_end(points, start) for points, start in segments]
    return [end.outer for end in ends if end][-STAGES:]


def _segments(points: list[Point]) -> list[tuple[list[Point], int]]:
    """Runs of one resolution, each with the parameters used before it; without parameters, no run."""
    runs: list[list[Point]] = []
    for point in points:
        if runs and point.resolution >= DROP * runs[-1][-1].resolution:
            runs[-1].append(point)
        else:
            runs.append([point])
    starts = [0, *(run[-1].done for run in runs)]
    return [
        (run, start)
        for run, start in zip(runs, starts, strict=False)
        if run[-1].done > start and (run[0].resolution > 1 or any(point.join for point in run))
    ]


def _blocks(points: list[Point]) -> list[Point]:
    """The residual blocks among a segment's points."""
    usual = Counter(point.outer.shape for point in points).most_common(1)[0][0]
    return [point for point in points if point.join and point.usable and point.outer.shape == usual]


def _end(points: list[Point], start: int) -> Point | None:
    """Where a segment's stage ends."""
    enough = start + BEHIND * (points[-1].done - start)
    late = [point for point in points if point.done >= enough]
    depth = min(point.outer.depth for point in late)
    shallow = [point for point in late if point.outer.depth == depth and point.usable]
    usable = shallow or [point for point in late if point.usable]
    return usable[-1] if usable else None


def _named(calls: list[Call]) -> list[Stage]:
    return [_tap(call, f"stage{number}") for number, call in enumerate(calls, start=1)]


def _tap(call: Call, name: str) -> Stage:
    layout = layout_of(call) or Layout.OTHER
    return Stage(name, call.path, layout.handed_out(call.shape), layout)


def _others(shown: Pass) -> dict[str, Stage]:
    return {call.path: _tap(call, call.path) for call in shown.calls if not call.overwritten}


def _overwritten(shown: Pass) -> dict[str, str]:
    """Modules whose output is changed in place, each with the next module whose output is not."""
    found = {}
    for call in shown.calls:
        if call.overwritten:
            later = (each.path for each in shown.calls[call.order + 1 :] if not each.overwritten)
            found[call.path] = next(later, "embedding")
    return found


def _positions(stage: Stage) -> int:
    return math.prod(stage.shape[2:]) if len(stage.shape) == 4 else stage.shape[1]
