"""The optimiser of a run."""

from typing import Any

import torch
from torch import nn

from selfdistill.train.config import RunConfig
from selfdistill.train.momenta import TwoMomenta


def make_optimiser(trained: nn.Module, config: RunConfig, gap: float | None = None) -> torch.optim.Optimizer:
    """SGD over everything that trains, the student's parameters and the heads'; two momenta with a gap, where asked."""
    groups = parameter_groups(trained, config.weight_decay, config.decay_norms)
    if gap is not None:
        return TwoMomenta(groups, lr=config.lr, momentum=config.momentum, gap=gap)
    return torch.optim.SGD(
        groups,
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov and config.momentum > 0,
        fused=_fusible(trained),
    )


def _fusible(trained: nn.Module) -> bool:
    """Whether torch has one kernel for the whole update: a third of the time, with the same result but for rounding."""
    return all(each.device.type in ("cpu", "cuda", "mps") and each.is_floating_point() for each in trained.parameters())


def parameter_groups(trained: nn.Module, decay: float, decay_norms: bool) -> list[dict[str, Any]]:
    """What decays and, without `decay_norms`, what does not: vectors, which are norms and biases."""
    parameters = [each for each in trained.parameters() if each.requires_grad]
    vectors = [] if decay_norms else [each for each in parameters if each.dim() <= 1]
    spared = set(map(id, vectors))
    decaying = [each for each in parameters if id(each) not in spared]
    groups = [{"params": decaying, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
