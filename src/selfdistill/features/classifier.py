"""Detection of the module that computes the logits."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from selfdistill.errors import UserError
from selfdistill.features.trace import ModuleCall, Trace
from selfdistill.functional import resize


def classifier_of(eval_trace: Trace, train_trace: Trace, path: str | None = None) -> ModuleCall | None:
    """Return the module at a path, or without a path the first to finish whose output is the logits, or None.

    Raises `UserError` if the module at the path does not output logits.
    """
    return _first_with_logits(eval_trace, train_trace) if path is None else _at_path(eval_trace, path)


def is_linear(head: ModuleCall, dense: bool) -> bool:
    """Return True if the logits, those of each pixel or token if `dense`, are weight times embedding plus bias."""
    if isinstance(head.module, nn.Conv2d):
        return head.input is not None and (_is_pointwise(head.module) if dense else _is_whole(head.module, head.input))
    return type_before_parametrizations(head.module) is nn.Linear


def _is_whole(module: nn.Conv2d, maps: Tensor) -> bool:
    return module.weight[0].numel() == maps[0].numel()


def _is_pointwise(module: nn.Conv2d) -> bool:
    sides = {module.kernel_size, module.stride}
    return sides == {(1, 1)} and module.groups == 1 and module.padding in ((0, 0), "valid")


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
    if trace.logits.dim() != 4:
        return torch.equal(call.output.reshape(trace.logits.shape), trace.logits)
    return torch.equal(_resized(call.output, trace.logits), trace.logits)


def _resized(maps: Tensor, logits: Tensor) -> Tensor:
    """Resize maps as decoders resize their logits to the image: a linear classifier commutes with it."""
    return maps if maps.shape == logits.shape else resize(maps, logits.shape[2:])


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
    if logits.dim() == 4:
        return call.output.dim() == 4 and call.shape[:2] == logits.shape[:2]
    return call.shape[:1] == logits.shape[:1] and call.output.numel() == logits.numel()


def _size(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())
