"""The optimiser of a run."""

import torch
from torch import nn

from selfdistill.train.config import RunConfig


def make_optimiser(trained: nn.Module, config: RunConfig) -> torch.optim.SGD:
    """SGD over everything that trains, the student's parameters and the heads'."""
    parameters = [each for each in trained.parameters() if each.requires_grad]
    groups = [{"params": parameters, "weight_decay": config.weight_decay}]
    if not config.decay_norms:
        groups = [
            {"params": [each for each in parameters if each.dim() > 1], "weight_decay": config.weight_decay},
            {
                "params": [each for each in parameters if each.dim() <= 1],
                "weight_decay": 0.0,
            },  # norms and biases
        ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov and config.momentum > 0,
    )
