"""Networks by name: CIFAR's own ones, timm's and torchvision's. Knows nothing of distillation."""

from selfdistill.models.create import create
from selfdistill.models.registry import names

__all__ = ["create", "names"]
