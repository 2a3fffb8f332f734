"""Detection of stage ends: runs of the trunk of one resolution, or thirds of its residual blocks or layers."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor
from torch.autograd.graph import Node

from selfdistill.features.dominators import Trunk, nodes_behind
from selfdistill.features.layout import Layout, layout_of
from selfdistill.features.trace import ModuleCall, Trace

STAGES, BLOCK_STAGES = 4, 3
SEGMENT_DROP = 0.75  # a resolution below this share of the previous one starts a segment
MIN_DONE = 0.25  # share of a segment's parameters that precede the end of its stage


class TrunkPoint(NamedTuple):
    """A tensor of the trunk, with the call of the shallowest module that returns it."""

    call: ModuleCall
    layout: Layout
    resolution: int  # H·W or N; 1 for a vector
    done: int  # parameters used up to it
    join: bool  # the output of a residual join


def trunk_points(trace: Trace, head: ModuleCall | None) -> list[TrunkPoint]:
    """Return the trunk's maps, tokens and vectors before the classifier, in order of computation."""
    trunk = Trunk(_end_of_trunk(trace, head), trace.root)
    used = _parameters_used(trace.calls)
    made: dict[Node, list[ModuleCall]] = {}
    for call in trace.calls:
        if call.node and call.node in trunk and _holds_features(call, trace, head):
            made.setdefault(call.node, []).append(call)
    return [_point(calls, used[calls[0].order], trunk.joins(node, made)) for node, calls in made.items()]


def _end_of_trunk(trace: Trace, head: ModuleCall | None) -> Tensor:
    """Return the logits; for maps of logits the last of the narrowest maps from which they are computed.

    A decoder reads the encoder at many places, so that no map of the encoder lies on every path to the logits.
    """
    if trace.logits.dim() != 4:
        return trace.logits
    behind = {*nodes_behind(trace.logits.grad_fn)}
    maps = [call for call in trace.calls if call.node in behind and _is_map(call, trace, head)]
    narrowest = min((call.shape[2:].numel() for call in maps), default=0)
    return next((call.output for call in reversed(maps) if call.shape[2:].numel() == narrowest), trace.logits)


def _is_map(call: ModuleCall, trace: Trace, head: ModuleCall | None) -> bool:
    """Return True for a map of 2x2 positions or more before the classifier."""
    of_features = _holds_features(call, trace, head) and layout_of(call) is Layout.CHANNELS_FIRST
    return of_features and call.shape[2:].numel() >= 4


def _point(calls: list[ModuleCall], done: int, join: bool) -> TrunkPoint:
    call = min(calls, key=lambda each: each.depth)
    layout = layout_of(call) or Layout.OTHER
    return TrunkPoint(call, layout, layout.resolution(call.shape), done, join)


def _holds_features(call: ModuleCall, trace: Trace, head: ModuleCall | None) -> bool:
    late = head is not None and (call.order >= head.order or f"{call.path}.".startswith(f"{head.path}."))
    return not late and call.shape[:1] == trace.logits.shape[:1] and layout_of(call) is not None


def _parameters_used(calls: list[ModuleCall]) -> list[int]:
    """Return the cumulative number of parameters up to each call."""
    used, total, visited = [], 0, set()
    for call in calls:
        if call.module not in visited:
            visited.add(call.module)
            total += sum(each.numel() for each in call.module.parameters(recurse=False))
        used.append(total)
    return used


def stage_ends(points: list[TrunkPoint], tappable: Mapping[str, ModuleCall]) -> list[ModuleCall]:
    """Return the call at the end of each stage, shallow to deep.

    Vectors, such as those after a global pool, are stages only in a model without any map or tokens.
    """
    if not (positional := [point for point in points if point.layout is not Layout.VECTOR]):
        return [point.call for point in _thirds(_layers(_usable(points, tappable)))]
    segments = _segments(positional)
    joined = [run for run, _ in segments if any(point.join for point in run)]
    if len(joined) == 1 and len(blocks := _blocks(_usable(joined[0], tappable))) >= BLOCK_STAGES:
        return [block.call for block in _thirds(blocks)]
    found = [_end(run, start, tappable) for run, start in segments]
    return [end.call for end in found if end][-STAGES:]


def _thirds(points: list[TrunkPoint]) -> list[TrunkPoint]:
    """Return the points at a third, two thirds and the end; all of them if there are fewer than three."""
    if len(points) < BLOCK_STAGES:
        return points
    return [points[-(-len(points) * k // BLOCK_STAGES) - 1] for k in range(1, BLOCK_STAGES + 1)]  # rounded up


def _layers(points: list[TrunkPoint]) -> list[TrunkPoint]:
    """Return the last point of each layer of a network of vectors, or its residual joins if it has three or more."""
    joins = [point for point in points if point.join]
    return joins if len(joins) >= BLOCK_STAGES else list({point.done: point for point in points if point.done}.values())


def _segments(points: list[TrunkPoint]) -> list[tuple[list[TrunkPoint], int]]:
    """Split the trunk into runs of one resolution with parameters; return each with the parameters before it."""
    runs: list[list[TrunkPoint]] = []
    for point in points:
        if not runs or point.resolution < SEGMENT_DROP * runs[-1][-1].resolution:
            runs.append([])
        runs[-1].append(point)
    starts = [0, *(run[-1].done for run in runs)]
    return [(run, start) for run, start in zip(runs, starts, strict=False) if _is_segment(run, start)]


def _is_segment(run: list[TrunkPoint], start: int) -> bool:
    # one position and no join: layers after the global pool
    return run[-1].done > start and (run[0].resolution > 1 or any(point.join for point in run))


def _blocks(points: list[TrunkPoint]) -> list[TrunkPoint]:
    """Return the residual blocks of a segment."""
    joins = [point for point in points if point.join]
    usual = Counter(point.call.shape for point in points).most_common(1)
    return [point for point in joins if point.call.shape == usual[0][0]]


def _end(points: list[TrunkPoint], start: int, tappable: Mapping[str, ModuleCall]) -> TrunkPoint | None:
    """Return the end of a segment's stage; None if nothing in it can be tapped."""
    enough = start + MIN_DONE * (points[-1].done - start)
    late = [point for point in points if point.done >= enough]
    depth = min(point.call.depth for point in late)
    usable = _usable(late, tappable)
    shallow = [point for point in usable if point.call.depth == depth]
    return next(reversed(shallow or usable), None)


def _usable(points: list[TrunkPoint], tappable: Mapping[str, ModuleCall]) -> list[TrunkPoint]:
    """Return the points that a hook can read: neither overwritten nor followed by another call of the module."""
    return [point for point in points if tappable.get(point.call.path) is point.call]
