"""Pieces that the CIFAR networks share."""

from torch import Tensor, nn


def conv_norm(width: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution that keeps the size but for its stride, and BatchNorm."""
    padding = kernel // 2
    return [nn.Conv2d(width, out, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(out)]


def conv_norm_relu(width: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution, BatchNorm and ReLU."""
    return nn.Sequential(*conv_norm(width, out, kernel, stride, groups), nn.ReLU())


class Pooled(nn.Module):
    """The mean over positions. [B, D, H, W] -> [B, D]."""

    def forward(self, features: Tensor) -> Tensor:
        """Average over height and width."""
        return features.mean(dim=(2, 3))


def initialised(network: nn.Module) -> nn.Module:
    """The network with He's initialisation of its convolutions (https://arxiv.org/abs/1502.01852)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
