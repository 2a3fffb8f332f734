"""Residual networks (https://arxiv.org/abs/1512.03385) for small images."""

from collections.abc import Sequence

from torch import Tensor, nn

from selfdistill.models.convolution import conv_norm, conv_norm_relu
from selfdistill.models.network import Block, network, pyramid


class Residual(nn.Module):
    """ReLU(shortcut + branch); where the shape changes, the shortcut is a 1x1 projection."""

    def __init__(self, branch: nn.Module, inside: int, out: int, stride: int):
        super().__init__()
        self.branch = branch
        same = inside == out and stride == 1
        self.shortcut = nn.Identity() if same else conv_norm(inside, out, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        return self.relu(self.shortcut(features) + self.branch(features))


def basic(inside: int, out: int, stride: int) -> Residual:
    """Two 3x3 convolutions."""
    branch = nn.Sequential(conv_norm_relu(inside, out, 3, stride), conv_norm(out, out))
    return Residual(branch, inside, out, stride)


def bottleneck(inside: int, out: int, stride: int) -> Residual:
    """A 3x3 convolution at a quarter of the width, between two of 1x1."""
    width = out // 4
    branch = nn.Sequential(
        conv_norm_relu(inside, width, 1), conv_norm_relu(width, width, 3, stride), conv_norm(width, out, 1)
    )
    return Residual(branch, inside, out, stride)


def thin(depth: int, classes: int, widths: Sequence[int] = (16, 16, 32, 64)) -> nn.Sequential:
    """CIFAR's three-stage ResNet of 6n + 2 layers; `widths` are those of the stem and the stages.

    The shortcuts are projections, as in the distillation literature; the paper pads with zeros,
    which takes 1 % fewer parameters.
    """
    count = (depth - 2) // 6
    return _resnet(basic, widths, (count, count, count), classes)


def thick(block: Block, widths: Sequence[int], counts: Sequence[int], classes: int) -> nn.Sequential:
    """ImageNet's four-stage ResNet with a 3x3 stem and no max-pooling."""
    return _resnet(block, (64, *widths), counts, classes)


def _resnet(block: Block, widths: Sequence[int], counts: Sequence[int], classes: int) -> nn.Sequential:
    stem = conv_norm_relu(3, widths[0])
    return network(stem, pyramid(block, widths, counts), nn.Linear(widths[-1], classes))
