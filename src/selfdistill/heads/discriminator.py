"""Discriminators between two sets of feature maps, for adversarial alignment."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.functional import global_average_pool, sum_tensors


class MapAlignment(nn.ModuleList):
    """Alignment loss of pairs of maps: mean squared error, and a discriminator's loss for each pair."""

    def __init__(self, pairs: int, width: int, gap: float, discrimination: float, adversarial: bool):
        super().__init__(discriminator(width) for _ in range(pairs))
        self.gap, self.discrimination, self.adversarial = gap, discrimination, adversarial
        self.requires_grad_(adversarial)  # the published code never trains them

    def forward(self, ones: list[Tensor], others: list[Tensor]) -> Tensor:
        """Return the weighted sum of both losses over all pairs. [B, D, *sides], [B, N, D] or [B, D] each -> []."""
        gaps = [F.mse_loss(one, other) for one, other in zip(ones, others, strict=True)]
        pairs = zip(self, ones, others, strict=True)
        losses = [discrimination_loss(discriminate, one, other, self.adversarial) for discriminate, one, other in pairs]
        return self.gap * sum_tensors(gaps) + self.discrimination * sum_tensors(losses)


def discriminator(width: int) -> nn.Module:
    """Make a two-layer classifier of pooled maps into two classes. [B, D] -> [B, 2]."""
    return nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 2))


def discrimination_loss(discriminate: nn.Module, one: Tensor, other: Tensor, adversarial: bool) -> Tensor:
    """Compute a discriminator's binary cross-entropy; if `adversarial`, the gradient to the maps is reversed. -> [].

    one, other: [B, D, *sides], [B, N, D] or [B, D].
    """
    rows = torch.cat([global_average_pool(each) for each in (one, other)])
    targets = torch.eye(2, device=rows.device, dtype=rows.dtype).repeat_interleave(len(one), dim=0)
    if adversarial:
        rows = 2 * rows.detach() - rows  # the same value, the gradient reversed
    return F.binary_cross_entropy_with_logits(discriminate(rows), targets)
