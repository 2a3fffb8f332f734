"""ShuffleNetV2 (https://arxiv.org/abs/1807.11164) of width 1, for small images."""

import torch
from torch import Tensor, nn

from selfdistill.models.convolution import conv_norm_relu, depthwise
from selfdistill.models.network import network, pyramid


class ShuffleBlock(nn.Module):
    """Convolve half of the channels, then shuffle both halves together.

    With a stride, both paths read all channels and each outputs half of the new width.
    """

    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        half = c_out // 2
        self.split = stride == 1
        first = half if self.split else c_in
        self.bypass = nn.Identity() if self.split else _downsample(c_in, half)
        self.branch = nn.Sequential(
            conv_norm_relu(first, half, 1), depthwise(half, stride), conv_norm_relu(half, half, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        left, right = features.chunk(2, dim=1) if self.split else (features, features)
        # Stacking interleaves the two paths: a channel shuffle of two groups.
        return torch.stack((self.bypass(left), self.branch(right)), dim=2).flatten(1, 2)


def _downsample(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(depthwise(c_in, stride=2), conv_norm_relu(c_in, c_out, 1))


def shufflenetv2(classes: int) -> nn.Sequential:
    """Build the ShuffleNetV2 of the distillation literature for CIFAR: a 1x1 stem and no max-pooling."""
    layers = pyramid(ShuffleBlock, (24, 116, 232, 464), (4, 8, 4), strides=(2, 2, 2))
    closing = (conv_norm_relu(464, 1024, 1),)
    return network(conv_norm_relu(3, 24, 1), layers, nn.Linear(1024, classes), closing)
