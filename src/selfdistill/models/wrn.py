"""Wide residual networks (https://arxiv.org/abs/1605.07146)."""

import re

from torch import nn

from selfdistill.errors import UserError
from selfdistill.models.layers import initialised
from selfdistill.models.resnet import PreActivation, ResNet

NAME = re.compile(r"wrn-(\d+)-(\d+)")


def wrn(name: str, classes: int) -> nn.Module:
    """The network of "wrn-D-W": depth D = 6n + 4, W times as wide. Raises `UserError` for another depth."""
    found = NAME.fullmatch(name)
    depth, wide = (int(each) for each in found.groups()) if found else (0, 0)
    if depth < 10 or (depth - 4) % 6 or wide < 1:
        raise UserError(f"{name!r} is no wide residual network: wrn-D-W has a depth D of 10, 16, 22, 28, 34, 40 …")
    widths = [16 * wide, 32 * wide, 64 * wide]
    return initialised(ResNet(PreActivation, [(depth - 4) // 6] * 3, widths, 16, classes))
