"""Trace of a model from images to logits: every module's output, recorded on a copy of the model."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Size, Tensor, nn
from torch.autograd.graph import Node

from selfdistill.errors import UserError
from selfdistill.features.logits import LogitsKey, logits_of
from selfdistill.features.model_copy import copy_model
from selfdistill.rng import fork_rng

FAILURES = (RuntimeError, ValueError, AssertionError, IndexError)  # raised by models for a wrong image size
WRAPPERS = ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel")


class ModuleCall(NamedTuple):
    """One module call in a pass."""

    order: int  # of completion
    path: str  # of the module, as in `named_modules`
    module: nn.Module
    input: Tensor | None  # its first positional argument
    output: Tensor
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
    images: Tensor
    calls: list[ModuleCall]
    logits: Tensor


def trace_modules(model: nn.Module, images: Tensor, output: LogitsKey | None = None) -> tuple[Trace, Trace]:
    """Trace a copy of the model on two of the images [B, 3, H, W], in eval and in train mode.

    The model, its modes and caches, and the random state stay unchanged. `output` names the logits in the
    model's output. Raises `UserError` for a model or images that cannot be traced.
    """
    refuse_wrapped(model)
    with fork_rng():
        copy = _copy(model)
        two = _two_images(images, copy)
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


def _two_images(images: Tensor, model: nn.Module) -> Tensor:
    """Return two of the images on the device and in the dtype of the model's first parameter."""
    if not isinstance(images, Tensor) or images.dim() != 4 or not images.is_floating_point() or not len(images):
        found = f"{images.dtype} {[*images.shape]}" if isinstance(images, Tensor) else type(images).__name__
        raise UserError(f"example images must be a float tensor [B, 3, H, W], but this is {found}")
    first = next(model.parameters(), None)
    if first is None:
        raise UserError(f"{type(model).__name__} has no parameters to train")
    return torch.cat([images, images])[:2].detach().to(first.device, first.dtype)


def _trace_pass(model: nn.Module, images: Tensor, output: LogitsKey | None) -> Trace:
    """Record one pass, in the model's current mode."""
    where = f"{type(model).__name__} in {'train' if model.training else 'eval'} mode"
    try:
        trace = _record(model, images, output)
    except UserError:
        raise
    except FAILURES as error:
        channels, height, width = images.shape[1:]
        raise UserError(
            f"{where} cannot take images of {channels} channels and {height}x{width} pixels: "
            f"{_first_line(error)}; use the size that it was made for, or create it for this size"
        ) from error
    if trace.logits.dim() != 2:
        raise UserError(f"{where} gives {[*trace.logits.shape]} for its logits; a classifier gives [B, C]")
    return trace


def _record(model: nn.Module, images: Tensor, output: LogitsKey | None) -> Trace:
    images = images.clone().requires_grad_()  # the autograd graph starts at the images
    calls: list[ModuleCall] = []
    with _recording_calls(model, calls), torch.enable_grad():
        logits = logits_of(model(images), output)
    return Trace(model, images, calls, logits)


@contextmanager
def _recording_calls(model: nn.Module, calls: list[ModuleCall]) -> Iterator[None]:
    """Record every call of a module that returns a tensor."""
    layers: list[nn.Module] = []  # with parameters of their own, in the order of completion

    def record(path: str, module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if any(True for _ in module.parameters(recurse=False)):
            layers.append(module)
        if isinstance(output, Tensor):
            first = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
            layer = layers[-1] if layers else None
            calls.append(ModuleCall(len(calls), path, module, first, output, output._version, output.grad_fn, layer))

    named = [(path, module) for path, module in model.named_modules() if path]
    hooks = [module.register_forward_hook(partial(record, path)) for path, module in named]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
