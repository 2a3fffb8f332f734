"""VGG (https://arxiv.org/abs/1409.1556) with BatchNorm and one linear classifier, for small images."""

from torch import nn

from selfdistill.models.network import network

WIDTHS = (64, 128, 256, 512, 512)


def vgg(convolutions: int, classes: int) -> nn.Sequential:
    """VGG with so many 3x3 convolutions in each of its five stages.

    As in the distillation literature, maps are halved before stages 2, 3 and 4 but not before the
    fifth, which at 32x32 pixels ends in 4x4. The first stage is the stem.
    """
    inside = (3, *WIDTHS)
    stem, *layers = [_stage(inside[i], out, convolutions, i in (1, 2, 3)) for i, out in enumerate(WIDTHS)]
    return network(stem, layers, nn.Linear(WIDTHS[-1], classes))


def _stage(inside: int, out: int, convolutions: int, halve: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(2)] if halve else []
    for width in (inside, *[out] * (convolutions - 1)):
        layers += [nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers)
