"""Judges that tell two kinds of maps apart, and features that learn not to be told."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.functional import as_map


class Resemblance(nn.ModuleList):
    """How far pairs of maps are from alike: their squared gaps, and what a judge for each pair tells them apart by."""

    def __init__(self, pairs: int, width: int, gap: float, discrimination: float, adversarial: bool):
        super().__init__(discriminator(width) for _ in range(pairs))
        self.gap, self.discrimination, self.adversarial = gap, discrimination, adversarial
        self.requires_grad_(adversarial)  # the published ones are never trained

    def forward(self, ones: list[Tensor], others: list[Tensor]) -> Tensor:
        """The weighted sum of both. [B, D, H, W] or [B, N, D] each -> []."""
        gaps = [F.mse_loss(one, other) for one, other in zip(ones, others, strict=True)]
        pairs = zip(self, ones, others, strict=True)
        told = [told_apart(judge, one, other, self.adversarial) for judge, one, other in pairs]
        return self.gap * sum(gaps[1:], gaps[0]) + self.discrimination * sum(told[1:], told[0])


def discriminator(width: int) -> nn.Module:
    """Two linear layers that say which of two kinds a pooled map is of. [B, D] -> [B, 2]."""
    return nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 2))


def told_apart(judge: nn.Module, one: Tensor, other: Tensor, adversarial: bool) -> Tensor:
    """Binary cross-entropy of a judge; adversarial: the judge learns it and the features undo it. -> [].

    one, other: [B, D, H, W] or [B, N, D].
    """
    rows = torch.cat([as_map(each).mean(dim=(2, 3)) for each in (one, other)])
    truth = torch.eye(2, device=rows.device, dtype=rows.dtype).repeat_interleave(len(one), dim=0)
    if adversarial:
        rows = 2 * rows.detach() - rows  # the same value, the gradient turned round
    return F.binary_cross_entropy_with_logits(judge(rows), truth)
