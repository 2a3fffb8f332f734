"""Pre-activation ResNet-18 (https://arxiv.org/abs/1603.05027) and Wide ResNets.

Wide ResNets follow https://arxiv.org/abs/1605.07146, without dropout.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from selfdistill.models.convolution import conv, conv_norm_relu
from selfdistill.models.network import network, pyramid


class PreActBlock(nn.Module):
    """Residual block with BatchNorm and ReLU before the convolutions and the projection."""

    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        self.ready = nn.Sequential(nn.BatchNorm2d(c_in), nn.ReLU())
        self.branch = nn.Sequential(conv_norm_relu(c_in, c_out, 3, stride), conv(c_out, c_out))
        same = c_in == c_out and stride == 1
        self.projection = None if same else conv(c_in, c_out, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        ready = self.ready(features)
        shortcut = features if self.projection is None else self.projection(ready)
        out: Tensor = shortcut + self.branch(ready)
        return out


def preact_resnet18(classes: int) -> nn.Sequential:
    """Build PreAct-ResNet-18 with a 3x3 stem and no max-pooling."""
    return _preact((64, 64, 128, 256, 512), (2, 2, 2, 2), classes)


def wide_resnet(depth: int, width: int, classes: int) -> nn.Sequential:
    """Build WRN-depth-width, of depth 6n + 4."""
    count = (depth - 4) // 6
    return _preact((16, 16 * width, 32 * width, 64 * width), (count, count, count), classes)


def _preact(widths: Sequence[int], counts: Sequence[int], classes: int) -> nn.Sequential:
    *_, last = widths
    closing = (nn.BatchNorm2d(last), nn.ReLU())
    return network(conv(3, widths[0]), pyramid(PreActBlock, widths, counts), nn.Linear(last, classes), closing)
