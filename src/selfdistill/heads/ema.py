"""Heads that follow others."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from selfdistill.functional import ema_update


class EMAHeads(nn.ModuleList):
    """Exponential averages of modules that train, and themselves do not."""

    steps: Tensor

    def __init__(self, live: nn.ModuleList, decay: float):
        super().__init__(deepcopy(live))
        self.requires_grad_(False)
        self.decay = decay
        self.register_buffer("steps", torch.zeros(()))

    @torch.no_grad()
    def follow(self, live: nn.ModuleList) -> None:
        """Move towards what the live modules have become in one more step."""
        self.steps += 1
        for slow, new in zip(self.parameters(), live.parameters(), strict=True):
            slow.copy_(ema_update(slow, new, self.steps, self.decay))
