"""ShuffleNetV2 (https://arxiv.org/abs/1807.11164) of width 1, for small images."""

import torch
from torch import Tensor, nn

from selfdistill.models.convolution import conv_norm_relu, depthwise
from selfdistill.models.network import network, pyramid


class Shuffle(nn.Module):
    """Half of the channels go through a branch; the halves are then shuffled together.

    With a stride, both ways read all the channels and each gives half of the new width.
    """

    def __init__(self, inside: int, out: int, stride: int):
        super().__init__()
        half = out // 2
        self.split = stride == 1
        first = half if self.split else inside
        self.bypass = nn.Identity() if self.split else _halve(inside, half)
        self.branch = nn.Sequential(
            conv_norm_relu(first, half, 1), depthwise(half, stride), conv_norm_relu(half, half, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        left, right = features.chunk(2, dim=1) if self.split else (features, features)
        # Stacked behind the channels, the two ways alternate: a shuffle of two groups.
        return torch.stack((self.bypass(left), self.branch(right)), dim=2).flatten(1, 2)


def _halve(inside: int, out: int) -> nn.Sequential:
    return nn.Sequential(depthwise(inside, stride=2), conv_norm_relu(inside, out, 1))


def shufflenetv2(classes: int) -> nn.Sequential:
    """The distillation literature's ShuffleNetV2 for CIFAR: a 1x1 stem and no max-pooling."""
    layers = pyramid(Shuffle, (24, 116, 232, 464), (4, 8, 4), strides=(2, 2, 2))
    closing = (conv_norm_relu(464, 1024, 1),)
    return network(conv_norm_relu(3, 24, 1), layers, nn.Linear(1024, classes), closing)
