"""Networks by name: CIFAR networks, timm and torchvision. Independent of distillation."""

from selfdistill.models.create import create
from selfdistill.models.registry import names

__all__ = ["create", "names"]
