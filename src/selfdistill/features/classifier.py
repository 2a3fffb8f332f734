"""Detection of the module that computes the logits."""

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from selfdistill.errors import UserError
from selfdistill.features.trace import ModuleCall, Trace


def classifier_of(eval_trace: Trace, train_trace: Trace, path: str | None = None) -> ModuleCall | None:
    """Return the module at a path, or without a path the first to finish whose output is the logits, or None.

    Raises `UserError` if the module at the path does not output logits.
    """
    return _first_with_logits(eval_trace, train_trace) if path is None else _at_path(eval_trace, path)


def is_linear(head: ModuleCall) -> bool:
    """Return True if the logits are weight times embedding plus bias."""
    if isinstance(head.module, nn.Conv2d):
        return head.input is not None and head.module.weight[0].numel() == head.input[0].numel()
    return type_before_parametrizations(head.module) is nn.Linear


def _first_with_logits(eval_trace: Trace, train_trace: Trace) -> ModuleCall | None:
    """Return the first module to finish whose output is the logits, in both modes."""
    in_training = {call.path for call in train_trace.calls if _makes_logits(call, train_trace)}
    return next(
        (call for call in eval_trace.calls if call.path in in_training and _makes_logits(call, eval_trace)), None
    )


def _makes_logits(call: ModuleCall, trace: Trace) -> bool:
    # an output overwritten in place has later values; a module with all parameters is the model itself
    own, total = _size(call.module), _size(trace.model)
    is_part = 0 < own < total or (own and not any(call.module.children()))
    if not is_part or call.input is None or call.overwritten or not _has_shape_of_logits(call, trace):
        return False
    return torch.equal(call.output.reshape(trace.logits.shape), trace.logits)


def _at_path(eval_trace: Trace, path: str) -> ModuleCall:
    """Return the module that the caller has chosen as the classifier, such as one of two heads."""
    candidates = {
        call.path: call
        for call in eval_trace.calls
        if call.input is not None and _has_shape_of_logits(call, eval_trace)
    }
    if path not in candidates:
        raise UserError(
            f"{type(eval_trace.model).__name__} has no module {path!r} that outputs logits "
            f"{[*eval_trace.logits.shape]}; these do: {', '.join(candidates) or 'none'}"
        )
    return candidates[path]


def _has_shape_of_logits(call: ModuleCall, trace: Trace) -> bool:
    logits = trace.logits
    return call.shape[:1] == logits.shape[:1] and call.output.numel() == logits.numel()


def _size(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())
