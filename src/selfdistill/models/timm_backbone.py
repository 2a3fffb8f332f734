"""Segmentation networks of timm: any of its models that gives feature maps, with a decoder of this package."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.errors import UserError
from selfdistill.models.decoder import PixelClassifier, decoder_levels

SEVERAL_SIZES: tuple[Mapping[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})


def names() -> list[str]:
    """List the models of timm."""
    return timm.list_models()


def build(name: str, classes: int, size: int, pretrained: bool) -> PixelClassifier:
    """Build a segmentation network [B, 3, H, W] -> [B, C, h, w]; `pretrained` loads the weights of the backbone."""
    return PixelClassifier(TimmBackbone(name, size, pretrained), classes, size)


class TimmBackbone(nn.Module):
    """Feature maps of a model of timm, the finest first: [B, 3, H, W] -> [B, D_k, H_k, W_k] each.

    Sides that are no multiple of the coarsest stride are resized to the next one. A model that takes images of `size`
    alone raises `UserError` for others.
    """

    def __init__(self, name: str, size: int, pretrained: bool):
        super().__init__()
        self.features = _create(name, size, pretrained)
        self.name, self.size = name, size
        self.stride = max(_info(self.features).reduction())
        self.channels_last = str(getattr(self.features, "output_fmt", "NCHW")).endswith("NHWC")
        above = self.stride * (size // self.stride + 1)
        self.any_size = _takes(self.features, above, above + self.stride)
        if not self.any_size and size % self.stride:
            raise UserError(f"its coarsest stride of {self.stride} pixels needs a multiple of {self.stride}")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of all levels."""
        maps = self.features(self._fitted(images))
        return [each.permute(0, 3, 1, 2) for each in maps] if self.channels_last else list(maps)

    def _fitted(self, images: Tensor) -> Tensor:
        """Resize images to multiples of the coarsest stride; most networks drop or pad what is beyond."""
        height, width = images.shape[2:]
        if not self.any_size and (height, width) != (self.size, self.size):
            raise UserError(
                f"timm/{self.name} takes images of {self.size}x{self.size} pixels alone, but got {height}x{width}; use "
                "a convolutional network, or images of one size"
            )
        if not self.any_size or (height % self.stride == 0 and width % self.stride == 0):
            return images
        sides = [-(-side // self.stride) * self.stride for side in (height, width)]
        return F.interpolate(images, sides, mode="bilinear")


def _create(name: str, size: int, pretrained: bool) -> nn.Module:
    """Create the model with the maps that the decoder reads alone, so that no parameter is idle."""
    features = _with_maps(name, size, False)
    info = _info(features)
    strides = info.reduction()
    places = decoder_levels(strides)
    if len(places) == len(strides) and not pretrained:
        return features
    return _with_maps(name, size, pretrained, out_indices=[info.out_indices[k] for k in places])


def _with_maps(name: str, size: int, pretrained: bool, **levels: Any) -> nn.Module:
    """Create a model that returns maps, for images of several sizes where it has an option for them."""
    for sized in ({"img_size": size, **each} for each in SEVERAL_SIZES):
        with suppress(TypeError):  # an option that it does not have
            return timm.create_model(name, pretrained, features_only=True, **sized, **levels)
    return timm.create_model(name, pretrained, features_only=True, **levels)


def _info(features: nn.Module) -> Any:
    """Return timm's `FeatureInfo` of the maps."""
    return features.feature_info


def _takes(features: nn.Module, height: int, width: int) -> bool:
    """Return whether a model accepts images of this size."""
    try:
        with torch.no_grad():
            features.eval()(torch.zeros(1, 3, height, width))
    except Exception:  # models raise errors of many kinds
        return False
    finally:
        features.train()
    return True
