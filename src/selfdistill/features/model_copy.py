"""Copies of models, including those with computed weights."""

from copy import deepcopy
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from selfdistill.errors import UserError

Model = TypeVar("Model", bound=nn.Module)


def copy_model(model: Model) -> Model:
    """Return a deep copy of a model, without gradients.

    `weight_norm`, `spectral_norm` and `prune` store the computed weight as a plain attribute, a non-leaf tensor that
    `copy.deepcopy` refuses; the copy recomputes it in each pass. Raises `UserError` for lazy modules before their first
    pass.
    """
    _require_initialized(model)
    computed = [each for module in model.modules() for each in vars(module).values() if _is_computed(each)]
    copied = deepcopy(model, {id(each): each.detach().clone() for each in computed})
    copied.zero_grad(set_to_none=True)
    return copied


def _is_computed(value: object) -> bool:
    return isinstance(value, Tensor) and not value.is_leaf


def _require_initialized(model: nn.Module) -> None:
    for name, each in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(each):
            raise UserError(f"{name} of {type(model).__name__} is lazy and has no shape yet; pass one batch through it")
