"""Networks by name: of this package, timm, torchvision and transformers. Independent of distillation."""

from selfdistill.models.cheap_convolutions import with_cheap_convolutions
from selfdistill.models.create import create
from selfdistill.models.registry import names

__all__ = ["create", "names", "with_cheap_convolutions"]
