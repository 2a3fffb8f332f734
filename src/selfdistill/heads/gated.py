"""LightSKD's published head: a gate over the map before a few convolutions."""

import torch
import torch.nn.functional as F
from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.functional import global_average_pool
from selfdistill.terms import Pool


class SeparableConv(nn.Sequential):
    """Two depthwise-separable 3x3 convolutions, the first strided, each with BatchNorm and ReLU."""

    def __init__(self, width: int, out: int, stride: int):
        super().__init__(
            nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
        )


class GatedHead(nn.Module):
    """LightSKD's published head: a gate over the map, two separable convolutions, a classifier.

    The gate lies in [0.5, 1): its sigmoid follows a ReLU. Source: `adapter_2` of the code of
    https://arxiv.org/abs/2305.09183.
    """

    def __init__(self, shape: Size, classes: int):
        super().__init__()
        _, width, height, breadth = shape
        if height % 2 or breadth % 2:
            raise UserError(
                f"the gated head halves a map and doubles it again, but the tap gives {height}x{breadth}; "
                "tap a stage with even sides or pass head='light'"
            )
        self.narrow = nn.Sequential(SeparableConv(width, width, 2), nn.BatchNorm2d(width), nn.ReLU())
        self.deepen = nn.Sequential(SeparableConv(width, 2 * width, 2), SeparableConv(2 * width, 4 * width, 2))
        self.classify = nn.Linear(4 * width, classes)

    def gate(self, features: Tensor) -> Tensor:
        """Return the gate of each position. [B, D, H, W] -> [B, D, H, W], in [0.5, 1)."""
        narrow = self.narrow(features)
        size = features.shape[2:]
        return torch.sigmoid(F.interpolate(narrow, size=size, mode="bilinear", align_corners=True))

    def forward(self, features: Tensor, pool: Pool = global_average_pool) -> Tensor:
        """[B, D, H, W] -> [R, C]; `pool` makes a row of each example, or of each pixel."""
        logits: Tensor = self.classify(pool(self.deepen(self.gate(features) * features)))
        return logits
