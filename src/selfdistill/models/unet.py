"""U-Net (https://arxiv.org/abs/1505.04597) with BatchNorm and bilinear upsampling, for small images."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.models.convolution import conv_norm_relu
from selfdistill.models.network import initialize

DEPTH = 4  # resolutions


class UNet(nn.Module):
    """Network [B, 3, H, W] -> [B, C, H, W]: four resolutions down, and up again beside the maps of the way down."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        widths = [width * 2**k for k in range(DEPTH)]
        self.down = nn.ModuleList(_convolutions(c_in, c_out) for c_in, c_out in pairwise([3, *widths]))
        self.up = nn.ModuleList(_convolutions(deep + skip, skip) for skip, deep in reversed([*pairwise(widths)]))
        self.apply(initialize)
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits of pixels. [B, 3, H, W] -> [B, C, H, W]."""
        skips: list[Tensor] = []
        features = images
        for layer in self.down:
            features = layer(F.max_pool2d(features, 2) if skips else features)
            skips.append(features)
        for layer, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            upsampled = F.interpolate(features, skip.shape[2:], mode="bilinear")
            features = layer(torch.cat([skip, upsampled], dim=1))
        logits: Tensor = self.classifier(features)
        return logits


def unet(width: int, classes: int) -> UNet:
    """Build a U-Net of four resolutions; `width` channels at the finest, twice as many at each coarser one."""
    return UNet(width, classes)


def _convolutions(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(conv_norm_relu(c_in, c_out), conv_norm_relu(c_out, c_out))
