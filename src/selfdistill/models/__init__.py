"""Networks by name: of this package, timm, torchvision and transformers. Independent of distillation."""

from selfdistill.models.create import create
from selfdistill.models.registry import names

__all__ = ["create", "names"]
