"""Networks for small images, and timm's and torchvision's by name. Knows nothing of distillation."""

from selfdistill.models.create import create, names

__all__ = ["create", "names"]
