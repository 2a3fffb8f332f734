"""Residual networks for small images (https://arxiv.org/abs/1512.03385, section 4.2, and the wider ones)."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from selfdistill.models.layers import Pooled, conv_norm, conv_norm_relu, initialised


class Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, width: int, out: int, stride: int):
        super().__init__()
        self.residual = nn.Sequential(conv_norm_relu(width, out, 3, stride), *conv_norm(out, out, 3))
        self.shortcut = shortcut(width, out, stride)
        self.relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        return self.relu(self.residual(features) + self.shortcut(features))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 ones, beside a shortcut."""

    expansion = 4

    def __init__(self, width: int, out: int, stride: int):
        super().__init__()
        narrow = out // self.expansion
        self.residual = nn.Sequential(
            conv_norm_relu(width, narrow, 1), conv_norm_relu(narrow, narrow, 3, stride), *conv_norm(narrow, out, 1)
        )
        self.shortcut = shortcut(width, out, stride)
        self.relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        return self.relu(self.residual(features) + self.shortcut(features))


class PreActivation(nn.Module):
    """Norm and ReLU before each convolution (https://arxiv.org/abs/1603.05027)."""

    expansion = 1

    def __init__(self, width: int, out: int, stride: int):
        super().__init__()
        self.enter = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.residual = nn.Sequential(
            nn.Conv2d(width, out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
        )
        same = stride == 1 and width == out
        self.shortcut = None if same else nn.Conv2d(width, out, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        entered = self.enter(features)
        return self.residual(entered) + (features if self.shortcut is None else self.shortcut(entered))


def shortcut(width: int, out: int, stride: int) -> nn.Module:
    """Nothing where the shape stays, else a 1x1 convolution and BatchNorm."""
    return nn.Identity() if stride == 1 and width == out else nn.Sequential(*conv_norm(width, out, 1, stride))


class ResNet(nn.Module):
    """A stem, stages of blocks, each but the first halving the map, and a linear classifier."""

    def __init__(self, block: type, depths: Sequence[int], widths: Sequence[int], stem: int, classes: int):
        super().__init__()
        preactivated = block is PreActivation
        self.stem = nn.Conv2d(3, stem, 3, padding=1, bias=False) if preactivated else conv_norm_relu(3, stem, 3)
        ins = [stem, *(width * block.expansion for width in widths)]
        for number, depth in enumerate(depths, start=1):
            stage = make_stage(block, ins[number - 1], ins[number], depth, stride=1 if number == 1 else 2)
            self.add_module(f"layer{number}", stage)
        self.stages = len(depths)
        self.leave = nn.Sequential(nn.BatchNorm2d(ins[-1]), nn.ReLU()) if preactivated else nn.Identity()
        self.pool = Pooled()
        self.fc = nn.Linear(ins[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, C]."""
        features = self.stem(images)
        for number in range(1, self.stages + 1):
            features = self.get_submodule(f"layer{number}")(features)
        return self.fc(self.pool(self.leave(features)))


def make_stage(block: type, width: int, out: int, depth: int, stride: int) -> nn.Sequential:
    """A row of blocks, the first of which changes the shape."""
    return nn.Sequential(block(width, out, stride), *(block(out, out, 1) for _ in range(depth - 1)))


def _resnet(block: type, depths: Sequence[int], widths: Sequence[int], stem: int, classes: int) -> nn.Module:
    return initialised(ResNet(block, depths, widths, stem, classes))


def _cifar(depth: int, wide: int = 1) -> partial:
    """The CIFAR networks of depth 6n + 2; `wide` 4 is the x4 of the distillation literature, stem 32."""
    widths = [16 * wide, 32 * wide, 64 * wide]
    return partial(_resnet, Basic, [(depth - 2) // 6] * 3, widths if wide == 1 else [64, 128, 256], 16 if wide == 1 else 32)


WIDTHS = (64, 128, 256, 512)

NETWORKS = {
    **{f"resnet{depth}": _cifar(depth) for depth in (8, 20, 32, 44, 56, 110)},
    **{f"resnet{depth}x4": _cifar(depth, wide=4) for depth in (8, 32)},
    "resnet18": partial(_resnet, Basic, [2, 2, 2, 2], WIDTHS, 64),
    "resnet34": partial(_resnet, Basic, [3, 4, 6, 3], WIDTHS, 64),
    "resnet50": partial(_resnet, Bottleneck, [3, 4, 6, 3], WIDTHS, 64),
    "preact_resnet18": partial(_resnet, PreActivation, [2, 2, 2, 2], WIDTHS, 64),
}
