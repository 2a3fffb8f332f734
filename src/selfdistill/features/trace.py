"""Trace of a model from inputs to logits: every module's output, recorded on a copy of the model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Size, Tensor, nn
from torch.autograd.graph import Node

from selfdistill.errors import UserError
from selfdistill.features.dominators import nodes_behind
from selfdistill.features.logits import LogitsKey, logits_of
from selfdistill.features.model_copy import copy_model
from selfdistill.inputs import Inputs, call_model, describe, floats_to, map_tensors, tensors
from selfdistill.rng import fork_rng

FAILURES = (RuntimeError, ValueError, AssertionError, IndexError, TypeError, KeyError)  # raised for wrong inputs
TRACED_ROWS = 2
WRAPPERS = ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel")


class ModuleCall(NamedTuple):
    """One module call in a pass."""

    order: int  # of completion
    path: str  # of the module, as in `named_modules`
    module: nn.Module
    input: Tensor | None  # the only tensor that it takes, by position or keyword; None for none or several
    reads_integers: bool  # the first tensor that it takes is one of integers, with one row per example
    output: Tensor  # the tensor of its output from which the logits are computed; the first where none is
    place: int  # of this tensor among those of the output
    structure: object  # the whole output
    version: int  # of the output at the return of the module
    node: Node | None  # of the output in the autograd graph
    layer: nn.Module | None  # the last layer with parameters that finished, here or before

    @property
    def shape(self) -> Size:
        """The output's shape."""
        return self.output.shape

    @property
    def depth(self) -> int:
        """The module's depth in the module tree."""
        return self.path.count(".")

    @property
    def overwritten(self) -> bool:
        """True if the output was changed in place after the module returned it."""
        return self.output._version != self.version


class Trace(NamedTuple):
    """The record of one pass."""

    model: nn.Module  # the copy
    inputs: Inputs  # two rows
    root: Tensor  # the largest float input, or embedding of integers: the trunk starts here
    calls: list[ModuleCall]
    output: object  # of the model: the logits, and what it returns beside them
    logits: Tensor

    @property
    def has_root(self) -> bool:
        """False for integers that no layer embeds, as in `weight[ids]`: the trunk is unknown."""
        return self.root.is_floating_point()


def trace_modules(model: nn.Module, inputs: Inputs, output: LogitsKey | None = None) -> tuple[Trace, Trace]:
    """Trace a copy of the model on two rows of the inputs, in eval and in train mode.

    The model, its modes and caches, and the random state stay unchanged. On the copy every parameter gets a gradient,
    so that frozen layers belong to the trunk too. `output` names the logits in the model's output. Raises `UserError`
    for a model or inputs that cannot be traced.
    """
    refuse_wrapped(model)
    with fork_rng():
        copy = _copy(model)
        two = _two_rows(inputs, copy)
        for each in copy.parameters():
            each.requires_grad_(each.is_floating_point())
        return _trace_pass(copy.eval(), two, output), _trace_pass(copy.train(), two, output)


def refuse_wrapped(model: nn.Module) -> None:
    """Raise `UserError` for a scripted, compiled or wrapped model."""
    kind = type(model).__name__
    if not isinstance(model, nn.Module):
        raise UserError(f"the model must be an nn.Module, but this is a {kind}")
    if isinstance(model, torch.jit.ScriptModule):
        raise UserError("a ScriptModule supports no hooks; pass the model that it was scripted from")
    if hasattr(model, "_orig_mod") or getattr(model, "_compiled_call_impl", None) is not None:
        raise UserError("the model is compiled; compile the step, not the model: torch.compile(teach)")
    if kind in WRAPPERS or kind.startswith("FSDP"):
        raise UserError(
            f"the model is wrapped in {kind}; wrap the teach, not the model, so that the heads of terms "
            "are synchronized too"
        )


def _copy(model: nn.Module) -> nn.Module:
    try:
        return copy_model(model)
    except RuntimeError as error:
        raise UserError(
            f"{type(model).__name__} cannot be copied, and the trace runs on a copy: {_first_line(error)}; "
            "pass the model before its first pass; for computed weights use torch.nn.utils.parametrizations"
        ) from error


def _two_rows(inputs: Inputs, model: nn.Module) -> Inputs:
    """Return two rows of the inputs on the device of the model's first parameter, and floats in its dtype."""
    rows = [len(each) if each.dim() else 0 for each in tensors(inputs)]
    if not rows or min(rows) != max(rows) or not rows[0]:
        raise UserError(
            "example inputs must be a tensor, a tuple of arguments or a mapping of keywords, whose tensors all have "
            f"one row per example, but these are {describe(inputs)}"
        )
    first = next(model.parameters(), None)
    if first is None:
        raise UserError(f"{type(model).__name__} has no parameters to train")
    return floats_to(map_tensors(lambda each: torch.cat([each, each])[:TRACED_ROWS].detach(), inputs), first)


def _trace_pass(model: nn.Module, inputs: Inputs, output: LogitsKey | None) -> Trace:
    """Record one pass, in the model's current mode."""
    where = f"{type(model).__name__} in {'train' if model.training else 'eval'} mode"
    try:
        trace = _record(model, inputs, output)
    except UserError:
        raise
    except FAILURES as error:
        raise UserError(
            f"{where} cannot take two rows of these inputs, {describe(inputs)}: {_first_line(error)}; pass inputs as "
            "in training (a tuple is the model's arguments, a mapping its keywords)"
        ) from error
    if trace.logits.dim() not in (2, 3, 4):
        raise UserError(
            f"{where} gives {[*trace.logits.shape]} for its logits; a classifier gives [B, C], one of pixels "
            "[B, C, H, W] and one of tokens [B, N, C]"
        )
    return trace


def _record(model: nn.Module, inputs: Inputs, output: LogitsKey | None) -> Trace:
    # the autograd graph starts at the float inputs
    inputs = map_tensors(lambda each: each.clone().requires_grad_(each.is_floating_point()), inputs)
    recorded: list[_Recorded] = []
    with _recording_calls(model, recorded), torch.enable_grad():
        whole = call_model(model, inputs)
        logits = logits_of(whole, output)
    steps = {node: step for step, node in enumerate(nodes_behind(logits.grad_fn))}
    calls = [_module_call(order, each, steps) for order, each in enumerate(recorded)]
    return Trace(model, inputs, _root(inputs, calls), calls, whole, logits)


def _root(inputs: Inputs, calls: list[ModuleCall]) -> Tensor:
    """Return the largest of the float inputs and of the layers' outputs for integers, such as token embeddings."""
    floats = [each for each in tensors(inputs) if each.is_floating_point()]
    embedded = [call.output for call in calls if call.node is not None and call.reads_integers]
    return max([*floats, *embedded], key=Tensor.numel, default=tensors(inputs)[0])


class _Recorded(NamedTuple):
    """A module call as its hook sees it."""

    path: str
    module: nn.Module
    inputs: list[Tensor]
    output: object
    versions: list[int]  # of the output's tensors
    nodes: list[Node | None]  # of the output's tensors
    layer: nn.Module | None


@contextmanager
def _recording_calls(model: nn.Module, recorded: list[_Recorded]) -> Iterator[None]:
    """Record every call of a module that returns a tensor."""
    layers: list[nn.Module] = []  # with parameters of their own, in the order of completion

    def record(path: str, module: nn.Module, args: object, kwargs: object, output: object) -> None:
        if any(True for _ in module.parameters(recurse=False)):
            layers.append(module)
        if returned := tensors(output):
            versions, nodes = [each._version for each in returned], [each.grad_fn for each in returned]
            layer = layers[-1] if layers else None
            recorded.append(_Recorded(path, module, tensors((args, kwargs)), output, versions, nodes, layer))

    named = [(path, module) for path, module in model.named_modules() if path]
    hooks = [module.register_forward_hook(partial(record, path), with_kwargs=True) for path, module in named]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def _module_call(order: int, each: _Recorded, steps: Mapping[Node, int]) -> ModuleCall:
    """Choose the output's tensor that is latest on the way to the logits: hidden states, not attention weights."""
    depths = [-1 if node is None else steps.get(node, -1) for node in each.nodes]
    place = depths.index(max(depths))
    output = tensors(each.output)[place]
    sole = each.inputs[0] if len(each.inputs) == 1 else None
    is_layer = not any(each.module.children())
    integers = is_layer and bool(each.inputs) and not each.inputs[0].is_floating_point()
    reads_integers = integers and each.inputs[0].shape[:1] == output.shape[:1] == (TRACED_ROWS,)
    version, node = each.versions[place], each.nodes[place]
    return ModuleCall(
        order, each.path, each.module, sole, reads_integers, output, place, each.output, version, node, each.layer
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
