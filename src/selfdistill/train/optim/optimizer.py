"""The optimizer of a run."""

from typing import Any

import torch
from torch import nn

from selfdistill.train.config import RunConfig
from selfdistill.train.optim.dual_momentum import DualMomentumSGD


def make_optimizer(
    trained: nn.Module, config: RunConfig, gap: float | None = None, *, fused: bool = False
) -> torch.optim.Optimizer:
    """Make SGD over all trainable parameters, those of the student and of the heads; with a `gap`, `DualMomentumSGD`.

    `DualMomentumSGD` and fused SGD can skip a step without a host sync: by the tensor `found_inf`.
    """
    groups = parameter_groups(trained, config.weight_decay, config.decay_norms)
    if gap is not None:
        return DualMomentumSGD(groups, lr=config.lr, momentum=config.momentum, gap=gap)
    nesterov = config.nesterov and config.momentum > 0
    made = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov, fused=fused or None)
    if fused and config.momentum > 0:
        _zero_momenta(made)
    return made


def parameter_groups(trained: nn.Module, decay: float, decay_norms: bool) -> list[dict[str, Any]]:
    """Group the trainable parameters by weight decay; without `decay_norms`, norms and biases have none."""
    parameters = [each for each in trained.parameters() if each.requires_grad]
    vectors = [] if decay_norms else [each for each in parameters if each.dim() <= 1]
    without_decay = set(map(id, vectors))
    decaying = [each for each in parameters if id(each) not in without_decay]
    groups = [{"params": decaying, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _zero_momenta(optimizer: torch.optim.Optimizer) -> None:
    """Start momenta at zero: torch leaves them uninitialized if the first step is skipped."""
    for group in optimizer.param_groups:
        for each in group["params"]:
            optimizer.state[each]["momentum_buffer"] = torch.zeros_like(each)
