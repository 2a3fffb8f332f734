"""Exponential moving averages of heads."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from selfdistill.functional import ema_update


class EMAHeads(nn.ModuleList):
    """Exponential moving averages of trained modules, without gradient."""

    steps: Tensor

    def __init__(self, modules: nn.ModuleList, decay: float):
        super().__init__(deepcopy(modules))
        self.requires_grad_(False)
        self.decay = decay
        self.register_buffer("steps", torch.zeros(()))

    @torch.no_grad()
    def update(self, modules: nn.ModuleList) -> None:
        """Update the averages after an optimizer step of the modules."""
        self.steps += 1
        for average, new in zip(self.parameters(), modules.parameters(), strict=True):
            average.copy_(ema_update(average, new, self.steps, self.decay))
