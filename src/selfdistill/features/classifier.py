"""Detection of the module that computes the logits."""

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from selfdistill.errors import UserError
from selfdistill.features.trace import ModuleCall, Trace


def classifier_of(tested: Trace, trained: Trace, path: str | None = None) -> ModuleCall | None:
    """Return the module at this path, or else the first to finish whose output is the logits, or None.

    Raises `UserError` where the module at the path gives no logits.
    """
    return _found(tested, trained) if path is None else _chosen(tested, path)


def is_linear(head: ModuleCall) -> bool:
    """True where the logits are weight times embedding plus bias."""
    if isinstance(head.module, nn.Conv2d):
        return head.input is not None and head.module.weight[0].numel() == head.input[0].numel()
    return type_before_parametrizations(head.module) is nn.Linear


def _found(tested: Trace, trained: Trace) -> ModuleCall | None:
    """Return the first module to finish whose output is the logits, in both modes."""
    lasting = {call.path for call in trained.calls if _makes_logits(call, trained)}
    return next((call for call in tested.calls if call.path in lasting and _makes_logits(call, tested)), None)


def _makes_logits(call: ModuleCall, shown: Trace) -> bool:
    # a call overwritten in place shows the later values; a parent of all parameters is the model itself
    own, whole = _size(call.module), _size(shown.model)
    part = 0 < own < whole or (own and not any(call.module.children()))
    if not part or call.input is None or call.overwritten or not _like_logits(call, shown):
        return False
    return torch.equal(call.output.reshape(shown.logits.shape), shown.logits)


def _chosen(tested: Trace, path: str) -> ModuleCall:
    """Return the module that the caller names as the classifier: one of two heads, for example."""
    able = {call.path: call for call in tested.calls if call.input is not None and _like_logits(call, tested)}
    if path not in able:
        raise UserError(
            f"{type(tested.model).__name__} has no module {path!r} that gives logits "
            f"{[*tested.logits.shape]}; these do: {', '.join(able) or 'none'}"
        )
    return able[path]


def _like_logits(call: ModuleCall, shown: Trace) -> bool:
    logits = shown.logits
    return call.shape[:1] == logits.shape[:1] and call.output.numel() == logits.numel()


def _size(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())
