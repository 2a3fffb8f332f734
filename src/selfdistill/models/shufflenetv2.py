"""ShuffleNetV2 for small images (https://arxiv.org/abs/1807.11164)."""

import torch
from torch import Tensor, nn

from selfdistill.models.layers import Pooled, conv_norm, conv_norm_relu, initialised

STEM, WIDTHS, DEPTHS, LAST = 24, (116, 232, 464), (4, 8, 4), 1024  # of the network named x1.0


class Shuffle(nn.Module):
    """Half of the channels pass, the other half is convolved; then the halves are shuffled."""

    def __init__(self, width: int):
        super().__init__()
        half = width // 2
        self.branch = nn.Sequential(
            conv_norm_relu(half, half, 1), *conv_norm(half, half, 3, groups=half), conv_norm_relu(half, half, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D, H, W]."""
        passing, other = features.chunk(2, dim=1)
        return shuffled(torch.cat([passing, self.branch(other)], dim=1))


class Halving(nn.Module):
    """Two strided branches side by side, shuffled."""

    def __init__(self, width: int, out: int):
        super().__init__()
        half = out // 2
        self.left = nn.Sequential(*conv_norm(width, width, 3, 2, groups=width), conv_norm_relu(width, half, 1))
        self.right = nn.Sequential(
            conv_norm_relu(width, half, 1), *conv_norm(half, half, 3, 2, groups=half), conv_norm_relu(half, half, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H/2, W/2]."""
        return shuffled(torch.cat([self.left(features), self.right(features)], dim=1))


def shuffled(features: Tensor) -> Tensor:
    """Channels of the two halves in turn. [B, D, H, W] -> [B, D, H, W]."""
    rows, width, height, breadth = features.shape
    return features.view(rows, 2, width // 2, height, breadth).transpose(1, 2).reshape(features.shape)


class ShuffleNetV2(nn.Module):
    """A stem, three stages that halve the map, a wide last layer, a linear classifier."""

    def __init__(self, classes: int):
        super().__init__()
        self.stem = conv_norm_relu(3, STEM, 1)
        ins = (STEM, *WIDTHS)
        for number, depth in enumerate(DEPTHS, start=1):
            blocks = [Shuffle(ins[number]) for _ in range(depth - 1)]
            self.add_module(f"stage{number}", nn.Sequential(Halving(ins[number - 1], ins[number]), *blocks))
        self.last = conv_norm_relu(WIDTHS[-1], LAST, 1)
        self.pool = Pooled()
        self.fc = nn.Linear(LAST, classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, C]."""
        features = self.stage3(self.stage2(self.stage1(self.stem(images))))
        return self.fc(self.pool(self.last(features)))


def shufflenetv2(classes: int) -> nn.Module:
    """ShuffleNetV2 at full width."""
    return initialised(ShuffleNetV2(classes))


NETWORKS = {"shufflenetv2": shufflenetv2}
