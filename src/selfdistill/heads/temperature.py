"""A learned temperature, made harder over the first epochs."""

import torch
from torch import Tensor, nn

EPOCHS = 10  # until the gradient is fully reversed
LOWEST, RANGE = 1.0, 20.0


class CurriculumTemperature(nn.Module):
    """A temperature from 1 to 21 that raises the loss it is used in: its gradient is reversed, and ramped from zero.

    Li et al., 2023 (https://arxiv.org/abs/2211.16231).
    """

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.ones(()))

    def forward(self, epoch: Tensor) -> Tensor:
        """Return the temperature in an epoch, from 0. [] -> []."""
        share = reversal(epoch).to(self.logit.dtype)
        logit = self.logit.detach() + share * (
            self.logit - self.logit.detach()
        )  # its value, with a share of the gradient
        return LOWEST + RANGE * logit.sigmoid()


def reversal(epoch: Tensor) -> Tensor:
    """Return the factor of the gradient in an epoch, from 0 before the first to -1 from the tenth on. [] -> []."""
    return (1 + torch.cos(torch.pi * (epoch + 1).clamp(max=EPOCHS) / EPOCHS)) / 2 - 1
