"""Stages, embedding and classifier of any image classifier, detected without its module names.

The rule. The trunk consists of the module outputs on every path from images to logits; its segments are runs of
one resolution. A stage ends at the module of the shallowest path that is not overwritten in place and follows at
least a quarter of the segment's parameters; the last four stages are kept. If one segment has all residual joins (a
transformer), its stages are thirds of the joins, so that stage2 is at 2/3 of the depth. The classifier is the first
module to finish whose output equals the logits.
"""

import math
from dataclasses import dataclass
from difflib import get_close_matches

from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features.classifier import classifier_of, is_linear
from selfdistill.features.layout import Layout, layout_of
from selfdistill.features.logits import LogitsKey
from selfdistill.features.stages import stage_ends, trunk_points
from selfdistill.features.trace import ModuleCall, Trace, trace_modules


@dataclass(frozen=True)
class Stage:
    """An intermediate activation: name, module and canonical shape."""

    name: str  # "stage1"; for a tap by path, the path
    path: str  # of the module that outputs it; for "embedding", of the module that reads it
    shape: Size  # canonical: [B, D, H, W], [B, N, D] or [B, D], for the two traced images
    layout: Layout  # the model's own

    @property
    def is_spatial(self) -> bool:
        """True for at least 2x2 positions or two tokens."""
        return math.prod(self.shape[2:]) >= 4 if len(self.shape) == 4 else self.shape[1] >= 2


@dataclass(frozen=True)
class Anatomy:
    """The structure of a model, as plain data."""

    model: str  # its class, for messages
    stages: tuple[Stage, ...]  # shallow to deep
    others: dict[str, Stage]  # all module outputs that can be tapped, by path
    overwritten: dict[str, str]  # path: the module to tap instead
    classifier: str | None  # path of the module whose output is the logits
    classifier_input: Size | None  # without the batch dimension
    logits: Size
    embedding: Size | None  # the classifier's input, flattened to [B, D]
    linear: bool  # the classifier is a linear layer, or a 1x1 convolution of one position
    images: Size  # [3, H, W] of the trace
    params_without_grad: tuple[str, ...]  # trainable parameters that get no gradient in training
    without_graph: frozenset[str]  # paths of modules whose output is computed without gradient
    output: LogitsKey | None = None  # selects the logits in the model's output

    def stage(self, name: str) -> Stage:
        """Return the activation at "stage2", "stage-1" (the last), "embedding", or a module's path.

        Raises `UserError` for a name that is none of these, listing the known ones.
        """
        if name == "embedding":
            return self._embedding()
        counted = {f"stage-{k}": each for k, each in enumerate(reversed(self.stages), start=1)}
        known = self.others | counted | {each.name: each for each in self.stages}
        if name not in known:
            raise self._unknown(name)
        return known[name]

    def expand_tap(self, tap: str, spatial: bool = False) -> list[str]:
        """Expand a tap: all stages for "stages", else itself."""
        return self.stage_names(spatial) if tap == "stages" else [tap]

    def stage_names(self, spatial: bool = False) -> list[str]:
        """List the stage names; with `spatial`, only those of at least 2x2 positions or two tokens."""
        return [each.name for each in self.stages if each.is_spatial or not spatial]

    def _embedding(self) -> Stage:
        if self.classifier is None or self.embedding is None:
            raise UserError(
                f"no single module computes the logits of {self.model}, so it has no embedding; pass "
                "classifier='head', the path of the module to read"
            )
        return Stage("embedding", self.classifier, self.embedding, Layout.OTHER)

    def _unknown(self, name: str) -> UserError:
        if name in self.overwritten:
            return UserError(
                f"a later module changes {name!r} in place, so a tap there would read changed values; "
                f"tap {self.overwritten[name]!r} instead"
            )
        found = ", ".join(f"{each.name} ({each.path})" for each in self.stages) or "none"
        near = " or ".join(map(repr, get_close_matches(name, self.others, n=3)))
        hint = f"; did you mean {near}?" if near else ""
        return UserError(f"{self.model} has nothing to tap at {name!r}; its stages are {found}{hint}")


def read_anatomy(
    model: nn.Module, images: Tensor, classifier: str | None = None, output: LogitsKey | None = None
) -> Anatomy:
    """Analyze a model by tracing a copy on two of the images [B, 3, H, W].

    `classifier` names the module whose output is the logits, and `output` the logits in the model's output, where
    they are not detected. Raises `UserError` for a model that cannot be analyzed.
    """
    eval_trace, train_trace = trace_modules(model, images, output)
    head = classifier_of(eval_trace, train_trace, classifier)
    embedding = head.input if head else None
    overwritten = _overwritten(eval_trace, train_trace)
    tappable = {call.path: call for call in eval_trace.calls if call.path not in overwritten}  # last calls
    return Anatomy(
        model=type(model).__name__,
        stages=tuple(
            _stage(end, f"stage{k}")
            for k, end in enumerate(stage_ends(trunk_points(eval_trace, head), tappable), start=1)
        ),
        others={path: _stage(call, path) for path, call in tappable.items()},
        overwritten=overwritten,
        classifier=None if head is None else head.path,
        classifier_input=None if embedding is None else embedding.shape[1:],
        logits=eval_trace.logits.shape,
        embedding=None if embedding is None else embedding.flatten(1).shape,
        linear=head is not None and is_linear(head),
        images=eval_trace.images.shape[1:],
        params_without_grad=_params_without_grad(train_trace),
        without_graph=frozenset(call.path for call in train_trace.calls if call.node is None),
        output=output,
    )


def _stage(call: ModuleCall, name: str) -> Stage:
    layout = layout_of(call) or Layout.OTHER
    return Stage(name, call.path, layout.canonical_shape(call.shape), layout)


def _overwritten(eval_trace: Trace, train_trace: Trace) -> dict[str, str]:
    """Map modules whose output is changed in place, in either mode, to a neighbor whose output is not."""
    last = [{call.path: call for call in trace.calls} for trace in (eval_trace, train_trace)]
    changed = {path for calls in last for path, call in calls.items() if call.overwritten}
    paths = sorted(last[0], key=lambda path: last[0][path].order)
    sound = [path for path in paths if path not in changed]
    after = {path: [*paths[k:], *reversed(paths[:k])] for k, path in enumerate(paths) if path in changed}
    return {path: next((each for each in near if each in sound), path) for path, near in after.items()}


def _params_without_grad(train_trace: Trace) -> tuple[str, ...]:
    """List the trainable parameters that a training pass leaves without gradient."""
    named = {name: each for name, each in train_trace.model.named_parameters() if each.requires_grad}
    if not named:
        return ()
    train_trace.logits.sum().backward()  # on a copy; reentrant checkpoints refuse autograd.grad
    return tuple(name for name, each in named.items() if each.grad is None)
