"""VGG with BatchNorm for small images (https://arxiv.org/abs/1409.1556), as the distillation literature has it."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from selfdistill.models.layers import Pooled, conv_norm_relu, initialised

WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Five stages of 3x3 convolutions, pooled between all but the last two, and a linear classifier."""

    def __init__(self, depths: Sequence[int], classes: int):
        super().__init__()
        ins = (3, *WIDTHS)
        for number, depth in enumerate(depths, start=1):
            width, out = ins[number - 1], ins[number]
            convolutions = [conv_norm_relu(width if k == 0 else out, out, 3) for k in range(depth)]
            halve = [nn.MaxPool2d(2)] if 1 < number < 5 else []
            self.add_module(f"stage{number}", nn.Sequential(*halve, *convolutions))
        self.pool = Pooled()
        self.fc = nn.Linear(WIDTHS[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, C]."""
        features = images
        for number in range(1, 6):
            features = self.get_submodule(f"stage{number}")(features)
        return self.fc(self.pool(features))


def _vgg(depths: Sequence[int], classes: int) -> nn.Module:
    return initialised(VGG(depths, classes))


NETWORKS = {"vgg8": partial(_vgg, [1] * 5), "vgg13": partial(_vgg, [2] * 5)}
