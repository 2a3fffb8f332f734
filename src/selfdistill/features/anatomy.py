"""Stages, embedding and classifier of any classifier, detected without its module names.

The rule. The trunk consists of the module outputs on every path from the inputs to the logits, starting at the largest
float input or embedding of integers; its segments are runs of one resolution. A stage ends at the module of the
shallowest path that is not overwritten in place and follows at least a quarter of the segment's parameters; the last
four stages are kept. If one segment has all residual joins (a transformer), its stages are thirds of the joins, so that
stage2 is at 2/3 of the depth; in a model without positions they are thirds of its layers. The classifier is the first
module to finish whose output equals the logits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features.classifier import classifier_of, is_linear
from selfdistill.features.dominators import nodes_behind
from selfdistill.features.layout import Layout, is_signal, layout_of
from selfdistill.features.logits import LogitsKey, named_tensors
from selfdistill.features.stages import stage_ends, trunk_points
from selfdistill.features.trace import ModuleCall, Trace, trace_modules
from selfdistill.functional import has_positions
from selfdistill.inputs import Inputs


@dataclass(frozen=True)
class Stage:
    """An intermediate activation: name, module and canonical shape."""

    name: str  # "stage1"; for a tap by path, the path
    path: str  # of the module that outputs it; for "embedding", of the module that reads it
    shape: Size  # canonical: [B, D, H, W], [B, D, T, H, W], [B, N, D] or [B, D], for the two traced rows
    layout: Layout  # the model's own
    place: int = 0  # of the activation among the tensors that the module returns
    equal_norms: bool = False  # all tokens have one L2 norm, as behind a LayerNorm at its initial weight and bias

    @property
    def is_spatial(self) -> bool:
        """True for at least 2x2 positions or two tokens."""
        return has_positions(self.shape)


@dataclass(frozen=True)
class Anatomy:
    """The structure of a model, as plain data."""

    model: str  # its class, for messages
    has_root: bool  # False for integers that no layer embeds: a trunk without a start has no stages
    stages: tuple[Stage, ...]  # shallow to deep
    others: dict[str, Stage]  # all module outputs that can be tapped, by path
    overwritten: dict[str, str]  # path: the module to tap instead
    classifier: str | None  # path of the module whose output is the logits
    classifier_input: Size | None  # without the batch dimension
    logits: Size
    embedding: Size | None  # the classifier's input, flattened to [B, D]; of a dense model [B, D, h, w] or [B, N, D]
    linear: bool  # the classifier is a linear layer, or a 1x1 convolution
    params_without_grad: tuple[str, ...]  # trainable parameters that the logits give no gradient in training
    auxiliary: Mapping[str, tuple[str, ...]]  # those that auxiliary logits reach, by the logits' place in the output
    without_graph: frozenset[str]  # paths of modules whose output is computed without gradient
    output: LogitsKey | None = None  # selects the logits in the model's output

    @property
    def dense(self) -> bool:
        """True for a model that classifies each pixel or token: its logits are [B, C, H, W] or [B, N, C]."""
        return len(self.logits) > 2

    @property
    def classifier_row(self) -> Size:
        """Shape in which the classifier takes one row: an example's embedding, or that of a pixel or token."""
        shape = self.classifier_input or Size()
        return {3: Size((1, *shape[1:])), 4: Size((*shape[:1], 1, 1))}.get(len(self.logits), shape)

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
    model: nn.Module, inputs: Inputs, classifier: str | None = None, output: LogitsKey | None = None
) -> Anatomy:
    """Analyze a model by tracing a copy on two rows of the inputs: images [B, C, H, W], a tuple, or a mapping.

    `classifier` names the module whose output is the logits, and `output` the logits in the model's output, where
    they are not detected. Raises `UserError` for a model that cannot be analyzed.
    """
    eval_trace, train_trace = trace_modules(model, inputs, output)
    head = classifier_of(eval_trace, train_trace, classifier)
    _require_classes_last(eval_trace)
    embedding, dense = head.input if head else None, eval_trace.logits.dim() > 2
    overwritten = _overwritten(eval_trace, train_trace)
    tappable = _tappable(eval_trace, train_trace, overwritten)
    without_grad = _params_without_grad(train_trace, model)
    return Anatomy(
        model=type(model).__name__,
        has_root=eval_trace.has_root,
        stages=tuple(
            _stage(end, f"stage{k}")
            for k, end in enumerate(stage_ends(trunk_points(eval_trace, head), tappable), start=1)
        ),
        others={path: _stage(call, path) for path, call in tappable.items()},
        overwritten=overwritten,
        classifier=None if head is None else head.path,
        classifier_input=None if embedding is None else embedding.shape[1:],
        logits=eval_trace.logits.shape,
        embedding=None if embedding is None else (embedding if dense else embedding.flatten(1)).shape,
        linear=head is not None and is_linear(head, dense),
        params_without_grad=without_grad,
        auxiliary=_auxiliary(train_trace, without_grad),
        without_graph=frozenset(call.path for call in train_trace.calls if call.node is None),
        output=output,
    )


def _require_classes_last(trace: Trace) -> None:
    """Raise `UserError` for logits [B, C, L] of a signal: three dimensions are tokens [B, N, C]."""
    layer = trace.calls[-1].layer if trace.calls else None
    if trace.logits.dim() == 3 and is_signal(trace.logits.shape, layer):
        raise UserError(
            f"{type(trace.model).__name__} gives logits {[*trace.logits.shape]}, whose classes come second (its last "
            f"layer is {type(layer).__name__}); to classify tokens return logits.transpose(1, 2), [B, N, C], and to "
            "classify examples [B, C]"
        )


def _stage(call: ModuleCall, name: str) -> Stage:
    layout = layout_of(call) or Layout.OTHER
    equal = layout is Layout.TOKENS and _has_equal_norms(call.output.detach().float())
    return Stage(name, call.path, layout.canonical_shape(call.shape), layout, call.place, equal)


def _has_equal_norms(tokens: Tensor) -> bool:
    """Return True for tokens [B, N, D] whose norms differ by a thousandth at most."""
    norms = tokens.norm(dim=2)
    return bool(norms.max() <= 1.001 * norms.min())


def _tappable(eval_trace: Trace, train_trace: Trace, overwritten: Mapping[str, str]) -> dict[str, ModuleCall]:
    """Return the last call of each module that a hook can read, at one place of its output in both modes."""
    places = {call.path: call.place for call in train_trace.calls}
    last = {call.path: call for call in eval_trace.calls if call.path not in overwritten}
    return {path: call for path, call in last.items() if places.get(path, call.place) == call.place}


def _overwritten(eval_trace: Trace, train_trace: Trace) -> dict[str, str]:
    """Map modules whose output is changed in place, in either mode, to a neighbor whose output is not."""
    last = [{call.path: call for call in trace.calls} for trace in (eval_trace, train_trace)]
    changed = {path for calls in last for path, call in calls.items() if call.overwritten}
    paths = sorted(last[0], key=lambda path: last[0][path].order)
    sound = [path for path in paths if path not in changed]
    after = {path: [*paths[k:], *reversed(paths[:k])] for k, path in enumerate(paths) if path in changed}
    return {path: next((each for each in near if each in sound), path) for path, near in after.items()}


def _params_without_grad(train_trace: Trace, model: nn.Module) -> tuple[str, ...]:
    """List the trainable parameters of the model that a training pass leaves without gradient."""
    trainable = {name for name, each in model.named_parameters() if each.requires_grad}
    if not trainable:
        return ()
    train_trace.logits.sum().backward()  # on a copy; reentrant checkpoints refuse autograd.grad
    named = train_trace.model.named_parameters()
    return tuple(name for name, each in named if name in trainable and each.grad is None)


def _auxiliary(train_trace: Trace, without_grad: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the parameters behind auxiliary logits alone, by the name of these logits in the model's output."""
    logits = {name: each for name, each in named_tensors(train_trace.output).items() if _is_like(each, train_trace)}
    found = {name: _parameters_behind(each, train_trace.model, without_grad) for name, each in logits.items()}
    return {name: parameters for name, parameters in found.items() if parameters}


def _is_like(each: Tensor, trace: Trace) -> bool:
    """Return True for a tensor of the logits' shape; maps of logits may be of another size."""
    logits = trace.logits.shape
    return each.shape[:2] == logits[:2] and each.dim() == 4 if len(logits) == 4 else each.shape == logits


def _parameters_behind(output: Tensor, model: nn.Module, names: tuple[str, ...]) -> tuple[str, ...]:
    reached = {id(getattr(node, "variable", None)) for node in nodes_behind(output.grad_fn)}
    return tuple(name for name in names if id(model.get_parameter(name)) in reached)
