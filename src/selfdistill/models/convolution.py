"""Convolution blocks of all networks in this package: no bias, same padding, BatchNorm."""

from torch import nn


def conv(c_in: int, c_out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Build a convolution that divides the spatial size by the stride."""
    return nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


def conv_norm(c_in: int, c_out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Build a convolution and BatchNorm."""
    return nn.Sequential(conv(c_in, c_out, kernel, stride, groups), nn.BatchNorm2d(c_out))


def conv_norm_relu(c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Build a convolution, BatchNorm and ReLU."""
    return conv_norm(c_in, c_out, kernel, stride).append(nn.ReLU())


def depthwise(width: int, stride: int) -> nn.Sequential:
    """Build a depthwise 3x3 convolution and BatchNorm."""
    return conv_norm(width, width, 3, stride, groups=width)
