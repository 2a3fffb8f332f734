"""Segmentation networks of torchvision."""

from torch import nn
from torchvision import models

from selfdistill.models.weights import fit


def names() -> list[str]:
    """List the segmentation networks of torchvision."""
    found: list[str] = models.list_models(module=models.segmentation)
    return found


def build(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    """Build a segmentation network [B, 3, H, W] -> {"out": [B, C, H, W]}, without its auxiliary classifier."""
    network: nn.Module = models.get_model(name, weights=None, weights_backbone=None, num_classes=classes)
    if pretrained:
        source = models.get_model(name, weights="DEFAULT", progress=False)
        state = {key: value for key, value in source.state_dict().items() if not key.startswith("aux_classifier.")}
        fit(network, state, classes, source=f"torchvision/{name}")
    return network
