"""The optimizer of a run: SGD, or one of timm's by its name."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from selfdistill.errors import UserError
from selfdistill.train.config import RunConfig
from selfdistill.train.optim.dual_momentum import DualMomentumSGD
from selfdistill.train.optim.named import make_named
from selfdistill.train.optim.settings import ParameterSetting

SGD = "sgd"


def make_optimizer(
    settings: Mapping[nn.Parameter, ParameterSetting],
    config: RunConfig,
    gap: float | None = None,
    *,
    fused: bool = False,
) -> torch.optim.Optimizer:
    """Make the optimizer of parameters with their settings; with a `gap`, `DualMomentumSGD`.

    `DualMomentumSGD` and fused SGD can skip a step without a host sync: by the tensor `found_inf`. Raises `UserError`
    for a name that timm does not have or cannot make, and with a `gap` for another optimizer than SGD and for SAM.
    """
    groups = parameter_groups(settings)
    if gap is not None:
        if config.optimizer != SGD:
            raise UserError(
                f"{config.method} has momenta of its own for the task and for distillation, which are those of SGD; "
                f"leave out --optimizer {config.optimizer}, or use another method"
            )
        if config.sam is not None:
            raise UserError(
                f"{config.method} has a gradient for the task and another for distillation, and --sam ascends along "
                "one; leave out --sam, or use another method"
            )
        return DualMomentumSGD(groups, lr=config.lr, momentum=config.momentum, gap=gap)
    if config.optimizer != SGD:
        return make_named(groups, config)
    nesterov = config.nesterov and config.momentum > 0
    made = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov, fused=fused or None)
    if fused and config.momentum > 0:
        _zero_momenta(made)
    return made


def parameter_groups(settings: Mapping[nn.Parameter, ParameterSetting]) -> list[dict[str, Any]]:
    """Group parameters of equal settings: those with weight decay first, larger rates first."""
    groups: dict[ParameterSetting, list[nn.Parameter]] = {}
    for parameter, setting in settings.items():
        groups.setdefault(setting, []).append(parameter)
    ordered = sorted(groups, key=lambda each: (-each.weight_decay, -each.lr_scale))
    return [{"params": groups[each], **each._asdict()} for each in ordered]


def _zero_momenta(optimizer: torch.optim.Optimizer) -> None:
    """Start momenta at zero: torch leaves them uninitialized if the first step is skipped."""
    for group in optimizer.param_groups:
        for each in group["params"]:
            optimizer.state[each]["momentum_buffer"] = torch.zeros_like(each)
