"""Where the stages, the embedding and the classifier of any image classifier are, without its names.

The rule. Trunk: module outputs that every path from images to logits crosses. Segments: runs of the
trunk of one resolution. A stage ends at the module of the shallowest path, not overwritten in place,
with a quarter of its segment's parameters behind it; the last four are kept. Where one segment holds
all residual joins (a transformer), stages are thirds of its joins, so that stage2 lies at 2/3 of its
depth. The classifier is the first module to finish whose output is the logits.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

import torch
from torch import Size, Tensor, nn
from torch.autograd.graph import Node

from selfdistill.errors import UserError
from selfdistill.layout import Layout, layout_of
from selfdistill.probe import Call, Pass, probe
from selfdistill.trunk import Trunk

STAGES, BLOCK_STAGES = 4, 3
DROP = 0.75  # a resolution below this share of the one before opens a segment
BEHIND = 0.25  # share of a segment's parameters that a stage's end has behind it at least


@dataclass(frozen=True)
class Stage:
    """An inner activation: what it is called, where it is, what it hands out."""

    name: str  # "stage1"; for a tap by path, the path
    path: str  # of the module whose output it is; for "embedding", of the module that takes it in
    shape: Size  # as handed out: [B, D, H, W], [B, N, D] or [B, D], of the probe's two images
    layout: Layout  # how the model itself lays it out

    @property
    def compares_positions(self) -> bool:
        """Whether it has 2x2 positions or two tokens at least."""
        return math.prod(self.shape[2:]) >= 4 if len(self.shape) == 4 else self.shape[1] >= 2


@dataclass(frozen=True)
class Anatomy:
    """What the probe found, as plain data."""

    model: str  # its class, for messages
    stages: tuple[Stage, ...]  # shallow to deep
    others: dict[str, Stage]  # every module's output that can be tapped, by path
    overwritten: dict[str, str]  # path: the module to tap instead
    classifier: str | None  # path of the module whose output is the logits
    classifier_input: Size | None  # what it takes in, behind the batch
    logits: Size
    embedding: Size | None  # what the classifier takes in, flattened to [B, D]
    linear: bool  # whether the classifier is a linear layer, or a 1x1 convolution of one position
    images: Size  # [3, H, W] of the probe
    idle: tuple[str, ...]  # trainable parameters that get no gradient in training

    def stage(self, name: str) -> Stage:
        """What lies at "stage2", "stage-1" (the last), "embedding", or else at a module's path.

        Raises `UserError` for a name that is none of these, naming what is there.
        """
        if name == "embedding":
            return self._embedding()
        counted = {f"stage-{k}": each for k, each in enumerate(reversed(self.stages), start=1)}
        known = self.others | counted | {each.name: each for each in self.stages}
        if name not in known:
            raise self._unknown(name)
        return known[name]

    def spelled_out(self, tap: str, maps: bool = False) -> list[str]:
        """The taps that a name stands for: all stages for "stages", else itself."""
        return self.stages_named(maps) if tap == "stages" else [tap]

    def stages_named(self, maps: bool = False) -> list[str]:
        """The stages by name; with `maps`, only those of 2x2 positions or two tokens at least."""
        return [each.name for each in self.stages if each.compares_positions or not maps]

    def _embedding(self) -> Stage:
        if self.classifier is None or self.embedding is None:
            raise UserError(
                f"no one module makes the logits of {self.model}, so it has no embedding; pass "
                "classifier='head', the path of the module to read"
            )
        return Stage("embedding", self.classifier, self.embedding, Layout.OTHER)

    def _unknown(self, name: str) -> UserError:
        if name in self.overwritten:
            return UserError(
                f"what follows {name!r} changes it in place, so a tap there would read changed values; "
                f"tap {self.overwritten[name]!r} instead"
            )
        found = ", ".join(f"{each.name} ({each.path})" for each in self.stages) or "none"
        near = " or ".join(map(repr, get_close_matches(name, self.others, n=3)))
        hint = f"; did you mean {near}?" if near else ""
        return UserError(f"{self.model} has nothing to tap at {name!r}; its stages are {found}{hint}")


def read(model: nn.Module, images: Tensor, classifier: str | None = None) -> Anatomy:
    """Find the parts of a model from passes of two of these images [B, 3, H, W] through a copy of it.

    `classifier` names the module to be taken for the one whose output is the logits. Raises
    `UserError` for what cannot be read, with the way out.
    """
    tested, trained = probe(model, images)
    head = _classifier(tested, trained) if classifier is None else _chosen(tested, classifier)
    taken = head.input if head else None
    overwritten = _overwritten(tested, trained)
    tappable = {call.path: call for call in tested.calls if call.path not in overwritten}  # last calls
    ends = _ends(_points(tested, head), tappable)
    return Anatomy(
        model=type(model).__name__,
        stages=tuple(_tap(end, f"stage{k}") for k, end in enumerate(ends, start=1)),
        others={path: _tap(call, path) for path, call in tappable.items()},
        overwritten=overwritten,
        classifier=None if head is None else head.path,
        classifier_input=None if taken is None else taken.shape[1:],
        logits=tested.logits.shape,
        embedding=None if taken is None else taken.flatten(1).shape,
        linear=head is not None and _linear(head),
        images=tested.images.shape[1:],
        idle=_idle(trained),
    )


def _tap(call: Call, name: str) -> Stage:
    layout = layout_of(call) or Layout.OTHER
    return Stage(name, call.path, layout.handed_out(call.shape), layout)


def _overwritten(tested: Pass, trained: Pass) -> dict[str, str]:
    """Modules whose output is changed in place, in either mode, each with a neighbour's that is not."""
    last = [{call.path: call for call in shown.calls} for shown in (tested, trained)]
    changed = {path for calls in last for path, call in calls.items() if call.overwritten}
    paths = sorted(last[0], key=lambda path: last[0][path].order)
    sound = [path for path in paths if path not in changed]
    after = {path: [*paths[k:], *reversed(paths[:k])] for k, path in enumerate(paths) if path in changed}
    return {path: next((each for each in near if each in sound), path) for path, near in after.items()}


def _idle(trained: Pass) -> tuple[str, ...]:
    """Names of the trainable parameters that a training pass leaves without gradient."""
    named = {name: each for name, each in trained.model.named_parameters() if each.requires_grad}
    if not named:
        return ()
    grads = torch.autograd.grad(trained.logits.sum(), list(named.values()), allow_unused=True)
    return tuple(name for name, grad in zip(named, grads, strict=True) if grad is None)


def _classifier(tested: Pass, trained: Pass) -> Call | None:
    """The first module to finish whose output is the logits, in either mode."""
    lasting = {call.path for call in trained.calls if _makes_logits(call, trained)}
    return next((call for call in tested.calls if call.path in lasting and _makes_logits(call, tested)), None)


def _makes_logits(call: Call, shown: Pass) -> bool:
    # a call overwritten in place shows the later values; a parent of all parameters is the model itself
    own, whole = _size(call.module), _size(shown.model)
    part = 0 < own < whole or (own and not any(call.module.children()))
    if not part or call.input is None or call.overwritten or not _like_logits(call, shown):
        return False
    return torch.equal(call.output.reshape(shown.logits.shape), shown.logits)


def _linear(head: Call) -> bool:
    """Whether the logits are weight times embedding plus bias."""
    if isinstance(head.module, nn.Conv2d):
        return head.input is not None and head.module.weight[0].numel() == head.input[0].numel()
    return type(head.module) is nn.Linear


def _chosen(tested: Pass, path: str) -> Call:
    """The module that the caller takes for the classifier: one of two heads, for example."""
    able = {call.path: call for call in tested.calls if call.input is not None and _like_logits(call, tested)}
    if path not in able:
        raise UserError(
            f"{type(tested.model).__name__} has no module {path!r} that gives logits "
            f"{[*tested.logits.shape]}; these do: {', '.join(able) or 'none'}"
        )
    return able[path]


def _like_logits(call: Call, shown: Pass) -> bool:
    logits = shown.logits
    return call.shape[:1] == logits.shape[:1] and call.output.numel() == logits.numel()


def _size(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


class Point(NamedTuple):
    """A tensor of the trunk, as the module of the shallowest path hands it out."""

    call: Call
    resolution: int  # H·W or N
    done: int  # parameters used when it was made
    join: bool  # it closes a residual join


def _points(shown: Pass, head: Call | None) -> list[Point]:
    """The trunk's tensors before the classifier that are maps or tokens, in the order they are made."""
    trunk = Trunk(shown.logits, shown.images)
    used = _parameters_used(shown.calls)
    made: dict[Node, list[Call]] = {}
    for call in shown.calls:
        if call.node and call.node in trunk and _holds_features(call, shown, head):
            made.setdefault(call.node, []).append(call)
    return [_point(calls, used[calls[0].order], trunk.joins(node, made)) for node, calls in made.items()]


def _point(calls: list[Call], done: int, join: bool) -> Point:
    call = min(calls, key=lambda each: each.depth)
    layout = layout_of(call) or Layout.OTHER
    return Point(call, layout.resolution(call.shape), done, join)


def _holds_features(call: Call, shown: Pass, head: Call | None) -> bool:
    inside = head is not None and f"{call.path}.".startswith(f"{head.path}.")
    return not inside and call.shape[:1] == shown.images.shape[:1] and layout_of(call) is not None


def _parameters_used(calls: list[Call]) -> list[int]:
    """How many parameters the calls up to each one hold."""
    used, total, met = [], 0, set()
    for call in calls:
        if call.module not in met:
            met.add(call.module)
            total += sum(each.numel() for each in call.module.parameters(recurse=False))
        used.append(total)
    return used


def _ends(points: list[Point], tappable: Mapping[str, Call]) -> list[Call]:
    """The call at the end of each stage, shallow to deep."""
    segments = _segments(points)
    joined = [run for run, _ in segments if any(point.join for point in run)]
    if len(joined) == 1 and len(blocks := _blocks(_usable(joined[0], tappable))) >= BLOCK_STAGES:
        thirds = [-(-len(blocks) * k // BLOCK_STAGES) for k in range(1, BLOCK_STAGES + 1)]  # rounded up
        return [blocks[third - 1].call for third in thirds]
    ends = [_end(run, start, tappable) for run, start in segments]
    return [end.call for end in ends if end][-STAGES:]


def _segments(points: list[Point]) -> list[tuple[list[Point], int]]:
    """Runs of one resolution that hold parameters, each with the parameters used before it."""
    runs: list[list[Point]] = []
    for point in points:
        if not runs or point.resolution < DROP * runs[-1][-1].resolution:
            runs.append([])
        runs[-1].append(point)
    starts = [0, *(run[-1].done for run in runs)]
    return [(run, start) for run, start in zip(runs, starts, strict=False) if _is_segment(run, start)]


def _is_segment(run: list[Point], start: int) -> bool:
    # one position and no join: what follows the global pool
    return run[-1].done > start and (run[0].resolution > 1 or any(point.join for point in run))


def _blocks(points: list[Point]) -> list[Point]:
    """The residual blocks of a segment."""
    joins = [point for point in points if point.join]
    usual = Counter(point.call.shape for point in points).most_common(1)
    return [point for point in joins if point.call.shape == usual[0][0]]


def _end(points: list[Point], start: int, tappable: Mapping[str, Call]) -> Point | None:
    """Where a segment's stage ends; None where nothing in it can be tapped."""
    enough = start + BEHIND * (points[-1].done - start)
    late = [point for point in points if point.done >= enough]
    depth = min(point.call.depth for point in late)
    usable = _usable(late, tappable)
    shallow = [point for point in usable if point.call.depth == depth]
    return next(reversed(shallow or usable), None)


def _usable(points: list[Point], tappable: Mapping[str, Call]) -> list[Point]:
    """Those whose tensor is what a tap hands out: neither overwritten nor followed by another call."""
    return [point for point in points if tappable.get(point.call.path) is point.call]
