"""VGG (https://arxiv.org/abs/1409.1556) with BatchNorm and one linear classifier, for small images."""

from torch import nn

from selfdistill.models.network import network

WIDTHS = (64, 128, 256, 512, 512)


def vgg(convolutions: int, classes: int) -> nn.Sequential:
    """Build VGG with `convolutions` 3x3 convolutions in each of five stages.

    As in the distillation literature, max-pooling precedes stages 2, 3 and 4 but not the fifth, whose feature
    maps are 4x4 at 32x32 pixels. The first stage is the stem.
    """
    c_in = (3, *WIDTHS)
    stem, *layers = [_stage(c_in[i], c_out, convolutions, i in (1, 2, 3)) for i, c_out in enumerate(WIDTHS)]
    return network(stem, layers, nn.Linear(WIDTHS[-1], classes))


def _stage(c_in: int, c_out: int, convolutions: int, halve: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(2)] if halve else []
    for width in (c_in, *[c_out] * (convolutions - 1)):
        layers += [nn.Conv2d(width, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()]
    return nn.Sequential(*layers)
