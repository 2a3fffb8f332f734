"""timm's networks."""

import timm
from torch import nn

from selfdistill.errors import UserError


def names() -> list[str]:
    """List timm's models."""
    return timm.list_models()


def build(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    """Build a model of timm; those that are made for one image size are made for this one."""
    network = _made(name, classes, size, pretrained)
    _require_whole_patches(network, size)
    return network


def _made(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    try:
        return timm.create_model(name, pretrained, num_classes=classes, img_size=size)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        return timm.create_model(name, pretrained, num_classes=classes)


def _require_whole_patches(network: nn.Module, size: int) -> None:
    # timm's patch embeddings drop the pixels that fill no patch, and say nothing.
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    side = patch[0] if isinstance(patch, tuple) else patch
    if isinstance(side, int) and size % side:
        raise UserError(f"its patches of {side}x{side} need a multiple of {side}")
