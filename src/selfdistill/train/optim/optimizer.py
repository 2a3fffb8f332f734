"""The optimizer of a run."""

from typing import Any

import torch
from torch import nn

from selfdistill.train.config import RunConfig
from selfdistill.train.optim.dual_momentum import DualMomentumSGD


def make_optimizer(
    trained: nn.Module, config: RunConfig, gap: float | None = None, *, fused: bool = False
) -> torch.optim.Optimizer:
    """SGD over everything that trains, the student's parameters and the heads'; two momenta with a gap, where asked.

    Two momenta, and SGD if `fused`, can be told on the device not to take a step: by their `found_inf`.
    """
    groups = parameter_groups(trained, config.weight_decay, config.decay_norms)
    if gap is not None:
        return DualMomentumSGD(groups, lr=config.lr, momentum=config.momentum, gap=gap)
    nesterov = config.nesterov and config.momentum > 0
    made = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov, fused=fused or None)
    if fused and config.momentum > 0:
        _start_momenta(made)
    return made


def parameter_groups(trained: nn.Module, decay: float, decay_norms: bool) -> list[dict[str, Any]]:
    """Split the parameters into those with weight decay and, without `decay_norms`, norms and biases without it."""
    parameters = [each for each in trained.parameters() if each.requires_grad]
    vectors = [] if decay_norms else [each for each in parameters if each.dim() <= 1]
    spared = set(map(id, vectors))
    decaying = [each for each in parameters if id(each) not in spared]
    groups = [{"params": decaying, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _start_momenta(optimizer: torch.optim.Optimizer) -> None:
    """Zero momenta: a first step that is not taken would leave torch's own as they lay in memory."""
    for group in optimizer.param_groups:
        for each in group["params"]:
            optimizer.state[each]["momentum_buffer"] = torch.zeros_like(each)
