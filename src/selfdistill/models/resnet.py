"""Residual networks (https://arxiv.org/abs/1512.03385) for small images."""

from collections.abc import Sequence

from torch import Tensor, nn

from selfdistill.models.convolution import conv_norm, conv_norm_relu
from selfdistill.models.network import Block, network, pyramid


class ResidualBlock(nn.Module):
    """ReLU(shortcut + branch); where the shape changes, the shortcut is a 1x1 projection."""

    def __init__(self, branch: nn.Module, c_in: int, c_out: int, stride: int):
        super().__init__()
        self.branch = branch
        same = c_in == c_out and stride == 1
        self.shortcut = nn.Identity() if same else conv_norm(c_in, c_out, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        out: Tensor = self.relu(self.shortcut(features) + self.branch(features))
        return out


def basic(c_in: int, c_out: int, stride: int) -> ResidualBlock:
    """Build a block of two 3x3 convolutions."""
    branch = nn.Sequential(conv_norm_relu(c_in, c_out, 3, stride), conv_norm(c_out, c_out))
    return ResidualBlock(branch, c_in, c_out, stride)


def bottleneck(c_in: int, c_out: int, stride: int) -> ResidualBlock:
    """Build a block of 1x1, 3x3 (at a quarter of the width) and 1x1 convolutions."""
    width = c_out // 4
    branch = nn.Sequential(
        conv_norm_relu(c_in, width, 1),
        conv_norm_relu(width, width, 3, stride),
        conv_norm(width, c_out, 1),
    )
    return ResidualBlock(branch, c_in, c_out, stride)


def cifar_resnet(depth: int, classes: int, widths: Sequence[int] = (16, 16, 32, 64)) -> nn.Sequential:
    """Build the three-stage CIFAR ResNet of 6n + 2 layers; `widths` of stem and stages.

    Shortcuts are projections, as in the distillation literature; the paper pads with zeros (1 % fewer parameters).
    """
    count = (depth - 2) // 6
    return _resnet(basic, widths, (count, count, count), classes)


def imagenet_resnet(block: Block, widths: Sequence[int], counts: Sequence[int], classes: int) -> nn.Sequential:
    """Build the four-stage ImageNet ResNet with a 3x3 stem and no max-pooling."""
    return _resnet(block, (64, *widths), counts, classes)


def _resnet(block: Block, widths: Sequence[int], counts: Sequence[int], classes: int) -> nn.Sequential:
    stem = conv_norm_relu(3, widths[0])
    return network(stem, pyramid(block, widths, counts), nn.Linear(widths[-1], classes))
