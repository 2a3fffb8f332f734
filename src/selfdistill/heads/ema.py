"""Exponential moving averages of heads."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from selfdistill.functional import ema_update


class EMAHeads(nn.ModuleList):
    """EMAs of trained modules, themselves not trained."""

    steps: Tensor

    def __init__(self, live: nn.ModuleList, decay: float):
        super().__init__(deepcopy(live))
        self.requires_grad_(False)
        self.decay = decay
        self.register_buffer("steps", torch.zeros(()))

    @torch.no_grad()
    def follow(self, live: nn.ModuleList) -> None:
        """Update the averages by the live modules after one more step."""
        self.steps += 1
        for slow, new in zip(self.parameters(), live.parameters(), strict=True):
            slow.copy_(ema_update(slow, new, self.steps, self.decay))
