"""Networks of timm."""

import timm
from torch import nn

from selfdistill.errors import UserError


def names() -> list[str]:
    """List the models of timm."""
    return timm.list_models()


def build(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    """Build a model of timm, with `img_size` where it takes one."""
    network = _create(name, classes, size, pretrained)
    _require_whole_patches(network, size)
    return network


def _create(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    try:
        return timm.create_model(name, pretrained, num_classes=classes, img_size=size)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        return timm.create_model(name, pretrained, num_classes=classes)


def _require_whole_patches(network: nn.Module, size: int) -> None:
    # timm's patch embeddings silently drop pixels of incomplete patches.
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    side = patch[0] if isinstance(patch, tuple) else patch
    if isinstance(side, int) and size % side:
        raise UserError(f"its {side}x{side} patches need a multiple of {side}")
