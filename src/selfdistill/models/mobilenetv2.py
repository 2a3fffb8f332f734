"""MobileNetV2 (https://arxiv.org/abs/1801.04381) of half width, for small images."""

from torch import Tensor, nn

from selfdistill.models.convolution import conv_norm, conv_norm_relu, depthwise
from selfdistill.models.network import network, stage


class InvertedResidual(nn.Module):
    """Inverted residual block: expansion, depthwise convolution, linear projection."""

    def __init__(self, c_in: int, c_out: int, stride: int, expansion: int = 6):
        super().__init__()
        width = expansion * c_in
        self.branch = nn.Sequential(
            conv_norm_relu(c_in, width, 1),
            depthwise(width, stride),
            nn.ReLU(),
            conv_norm(width, c_out, 1),
        )
        self.residual = c_in == c_out and stride == 1

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        out: Tensor = self.branch(features)
        return features + out if self.residual else out


def mobilenetv2(classes: int) -> nn.Sequential:
    """Build the MobileNetV2 of the distillation literature for CIFAR: width 0.5, ReLU instead of ReLU6.

    The stem halves the image and stage 1 does not, so 32x32 pixels end in 2x2 feature maps.
    """
    stem = conv_norm_relu(3, 16, 3, stride=2)
    layers = (
        nn.Sequential(InvertedResidual(16, 8, 1, expansion=1), *stage(InvertedResidual, 8, 12, 2, stride=1)),
        stage(InvertedResidual, 12, 16, 3, stride=2),
        nn.Sequential(*stage(InvertedResidual, 16, 32, 4, stride=2), *stage(InvertedResidual, 32, 48, 3, stride=1)),
        nn.Sequential(*stage(InvertedResidual, 48, 80, 3, stride=2), *stage(InvertedResidual, 80, 160, 1, stride=1)),
    )
    return network(stem, layers, nn.Linear(1280, classes), closing=(conv_norm_relu(160, 1280, 1),))
