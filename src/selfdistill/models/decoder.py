"""Segmentation network of a backbone and a small decoder: a feature pyramid, as in https://arxiv.org/abs/1901.02446."""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Size, Tensor, nn

from selfdistill.models.convolution import conv_norm, conv_norm_relu
from selfdistill.models.network import initialize

LEVELS = 4  # resolutions that the decoder reads, the coarsest ones
NARROWEST, WIDEST = 32, 128  # channels of the decoder


class PyramidDecoder(nn.Module):
    """Add each level, upsampled bilinearly, to the next finer one; all have 1x1 laterals to one width."""

    def __init__(self, channels: Sequence[int], width: int):
        super().__init__()
        self.laterals = nn.ModuleList(conv_norm(each, width, 1) for each in channels)
        self.smooth = conv_norm_relu(width, width)
        self.apply(initialize)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels [B, D_k, H_k, W_k], the finest first -> [B, width, H_0, W_0]."""
        maps = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        out: Tensor = self.smooth(reduce(_add_upsampled, reversed(maps)))
        return out


class PixelClassifier(nn.Module):
    """Network [B, 3, H, W] -> [B, C, h, w] of a backbone, a decoder and a 1x1 classifier.

    The backbone returns maps, the finest first; of those of one resolution the last is read. h, w are the sides of the
    finest that is read.
    """

    def __init__(self, backbone: nn.Module, classes: int, size: int):
        super().__init__()
        self.backbone = backbone
        shapes = _shapes(backbone, size)
        self.places = decoder_levels([each[2:] for each in shapes])
        channels = [shapes[place][1] for place in self.places]
        width = min(max(channels[-1] // 2, NARROWEST), WIDEST)
        self.decoder = PyramidDecoder(channels, width)
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits of pixels. [B, 3, H, W] -> [B, C, h, w]."""
        maps = self.backbone(images)
        logits: Tensor = self.classifier(self.decoder([maps[place] for place in self.places]))
        return logits


class Stages(nn.Module):
    """Stages of a network of this package, without its neck and classifier: [B, 3, H, W] -> a map for each stage."""

    def __init__(self, network: nn.Module):
        super().__init__()
        for name, child in network.named_children():
            if name not in ("neck", "classifier"):
                self.add_module(name, child)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of all stages after the stem, the finest first."""
        maps, features = [], images
        for stage in self.children():
            features = stage(features)
            maps.append(features)
        return maps[1:]


def with_decoder(build: Callable[..., nn.Module], classes: int) -> PixelClassifier:
    """Build the segmentation network of a classifier of this package, called with `classes`."""
    return PixelClassifier(Stages(build(classes=classes)), classes, size=32)


def decoder_levels(resolutions: Sequence[object]) -> list[int]:
    """Return the places of the last map of each resolution, at most four, the coarsest.

    >>> decoder_levels([2, 4, 8, 16, 16, 32])
    [1, 2, 4, 5]
    """
    last = {resolution: place for place, resolution in enumerate(resolutions)}
    return sorted(last.values())[-LEVELS:]


def _shapes(backbone: nn.Module, size: int) -> list[Size]:
    """Shapes of a backbone's maps, from one pass in eval mode, which moves no statistic."""
    with torch.no_grad():
        maps = backbone.eval()(torch.zeros(1, 3, size, size))
    backbone.train()
    return [each.shape for each in maps]


def _add_upsampled(coarse: Tensor, fine: Tensor) -> Tensor:
    return fine + F.interpolate(coarse, fine.shape[2:], mode="bilinear")
