"""Weight decay and learning rate of each parameter."""

import importlib
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from selfdistill.step import Distiller
from selfdistill.train.config import RunConfig


class ParameterSetting(NamedTuple):
    """Weight decay of a parameter, and its share of the scheduled learning rate."""

    weight_decay: float
    lr_scale: float = 1.0  # factor of the scheduled learning rate


def parameter_settings(distiller: Distiller, config: RunConfig) -> dict[nn.Parameter, ParameterSetting]:
    """Return the setting of each trainable parameter, in the order of the distiller's parameters.

    With `config.layer_decay`, the student's rates fall by that factor from each layer to the one before it, as timm
    orders layers. `config.head_lr` is the peak rate of the heads that only training has.
    """
    layers = dict(_by_layer(distiller.student, config)) if config.layer_decay is not None else {}
    heads = {*distiller.terms.parameters()}
    scale = 1.0 if config.head_lr is None else config.head_lr / config.lr
    return {
        each: ParameterSetting(decay_of(each, config), scale if each in heads else layers.get(each, 1.0))
        for each in distiller.parameters()
        if each.requires_grad
    }


def decay_of(parameter: Tensor, config: RunConfig) -> float:
    """Return the weight decay of a parameter: 0 for norms and biases without `config.decay_norms`."""
    return config.weight_decay if config.decay_norms or parameter.dim() > 1 else 0.0


def _by_layer(student: nn.Module, config: RunConfig) -> Iterator[tuple[Tensor, float]]:
    """Yield the student's parameters with the factors of their rates: 1 for the last layer."""
    optim = importlib.import_module("timm.optim")  # slow to import
    for group in optim.param_groups_layer_decay(student, layer_decay=config.layer_decay or 1.0):
        for parameter in group["params"]:
            yield parameter, group["lr_scale"]
