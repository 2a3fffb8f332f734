"""MobileNetV2 (https://arxiv.org/abs/1801.04381) of half width, for small images."""

from torch import Tensor, nn

from selfdistill.models.convolution import conv_norm, conv_norm_relu, depthwise
from selfdistill.models.network import network, stage


class Inverted(nn.Module):
    """A depthwise convolution at `expansion` times the width, and a linear way back."""

    def __init__(self, inside: int, out: int, stride: int, expansion: int = 6):
        super().__init__()
        width = expansion * inside
        self.branch = nn.Sequential(
            conv_norm_relu(inside, width, 1), depthwise(width, stride), nn.ReLU(), conv_norm(width, out, 1)
        )
        self.residual = inside == out and stride == 1

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        return features + self.branch(features) if self.residual else self.branch(features)


def mobilenetv2(classes: int) -> nn.Sequential:
    """The distillation literature's MobileNetV2 for CIFAR: width 0.5, ReLU in place of ReLU6.

    Its stem halves the image and stage 1 does not, so that 32x32 pixels end in maps of 2x2.
    """
    stem = conv_norm_relu(3, 16, 3, stride=2)
    layers = (
        nn.Sequential(Inverted(16, 8, 1, expansion=1), *stage(Inverted, 8, 12, 2, stride=1)),
        stage(Inverted, 12, 16, 3, stride=2),
        nn.Sequential(*stage(Inverted, 16, 32, 4, stride=2), *stage(Inverted, 32, 48, 3, stride=1)),
        nn.Sequential(*stage(Inverted, 48, 80, 3, stride=2), *stage(Inverted, 80, 160, 1, stride=1)),
    )
    return network(stem, layers, nn.Linear(1280, classes), closing=(conv_norm_relu(160, 1280, 1),))
