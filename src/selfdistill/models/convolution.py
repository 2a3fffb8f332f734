"""The convolutions that every network here is built of: no bias, same padding, then BatchNorm."""

from torch import nn


def conv(inside: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size of the map, or divides it by the stride."""
    return nn.Conv2d(inside, out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


def conv_norm(inside: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution and BatchNorm."""
    return nn.Sequential(conv(inside, out, kernel, stride, groups), nn.BatchNorm2d(out))


def conv_norm_relu(inside: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution, BatchNorm and ReLU."""
    return conv_norm(inside, out, kernel, stride).append(nn.ReLU())


def depthwise(width: int, stride: int) -> nn.Sequential:
    """A 3x3 convolution of each channel by itself, and BatchNorm."""
    return conv_norm(width, width, 3, stride, groups=width)
