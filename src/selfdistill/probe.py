"""One recorded pass: every module call from images to logits, on a copy that can be thrown away."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Size, Tensor, nn
from torch.autograd.graph import Node

from selfdistill.errors import UserError


class Call(NamedTuple):
    """One module's answer in a pass."""

    order: int  # of completion
    path: str  # of the module, as in `named_modules`
    module: nn.Module
    output: Tensor
    version: int  # how often the output had been written to when the module gave it
    node: Node | None  # what made the output, in the autograd graph
    input: Tensor | None
    times: int  # how often this module had been called, this call included

    @property
    def shape(self) -> Size:
        """The output's shape."""
        return self.output.shape

    @property
    def depth(self) -> int:
        """How deep the module lies in the tree of modules."""
        return self.path.count(".")

    @property
    def overwritten(self) -> bool:
        """Whether something changed the output in place after the module gave it."""
        return self.output._version != self.version


class Pass(NamedTuple):
    """What one pass showed."""

    calls: list[Call]
    logits: Tensor
    images: Tensor


def record(model: nn.Module, images: Tensor) -> Pass:
    """Run the model over images [B, 3, H, W] with gradient, and keep each module's answer."""
    calls: list[Call] = []
    images = images.clone().requires_grad_()
    with _listening(model, calls), torch.enable_grad():
        logits = logits_of(model(images))
    return Pass(calls, logits, images)


@contextmanager
def _listening(model: nn.Module, calls: list[Call]) -> Iterator[None]:
    times: dict[nn.Module, int] = {}

    def keep(path: str, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        times[module] = times.get(module, 0) + 1
        if isinstance(output, Tensor):
            first = next(_tensors((*args, *kwargs.values())), None)
            made = (output, output._version, output.grad_fn, first, times[module])
            calls.append(Call(len(calls), path, module, *made))

    def hook(path: str, module: nn.Module) -> Any:
        return module.register_forward_hook(lambda *call: keep(path, *call), with_kwargs=True)

    hooks = [hook(path, module) for path, module in model.named_modules() if path]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def logits_of(output: Any) -> Tensor:
    """The logits [B, C] in whatever a model returns: a tensor, `.logits`, a dict, or the first of a tuple."""
    if isinstance(output, Tensor):
        return output
    if hasattr(output, "logits"):
        return output.logits
    if isinstance(output, dict) and "logits" in output:
        return output["logits"]
    if isinstance(output, tuple | list) and output:
        return logits_of(output[0])
    raise UserError(
        f"the model returned a {type(output).__name__}; it should return logits [B, C], or an object, dict or "
        "tuple that holds them (.logits, ['logits'], or first)"
    )
