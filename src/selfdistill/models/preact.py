"""Pre-activation residual networks: ResNet-18 (https://arxiv.org/abs/1603.05027) and the wide ones.

Wide ResNets are https://arxiv.org/abs/1605.07146, here without dropout.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from selfdistill.models.convolution import conv, conv_norm_relu
from selfdistill.models.network import network, pyramid


class PreAct(nn.Module):
    """BatchNorm and ReLU come before the convolutions; a projection reads what they give."""

    def __init__(self, inside: int, out: int, stride: int):
        super().__init__()
        self.ready = nn.Sequential(nn.BatchNorm2d(inside), nn.ReLU())
        self.branch = nn.Sequential(conv_norm_relu(inside, out, 3, stride), conv(out, out))
        same = inside == out and stride == 1
        self.projection = None if same else conv(inside, out, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        ready = self.ready(features)
        shortcut = features if self.projection is None else self.projection(ready)
        return shortcut + self.branch(ready)


def preact_resnet18(classes: int) -> nn.Sequential:
    """PreAct-ResNet-18 with a 3x3 stem and no max-pooling."""
    return _preact((64, 64, 128, 256, 512), (2, 2, 2, 2), classes)


def wide(depth: int, width: int, classes: int) -> nn.Sequential:
    """WRN-depth-width, of depth 6n + 4."""
    count = (depth - 4) // 6
    return _preact((16, 16 * width, 32 * width, 64 * width), (count, count, count), classes)


def _preact(widths: Sequence[int], counts: Sequence[int], classes: int) -> nn.Sequential:
    *_, last = widths
    closing = (nn.BatchNorm2d(last), nn.ReLU())
    return network(conv(3, widths[0]), pyramid(PreAct, widths, counts), nn.Linear(last, classes), closing)
