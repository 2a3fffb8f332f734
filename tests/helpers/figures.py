"""Numbers drawn for a picture."""

import torch

from selfdistill.data import Augmentation, Images
from tests.helpers.networks import CLASSES

PLAIN = Augmentation(0, False, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def predictions(rows=60, classes=CLASSES, seed=0):
    """Logits [N, C] that are right more often than not, and labels [N]."""
    labels = torch.arange(rows) % classes
    logits = torch.randn(rows, classes, generator=draws(seed))
    logits[torch.arange(rows), labels] += 1.5
    return logits, labels


def images(rows=12, size=8, seed=0):
    pixels = torch.randint(0, 256, (rows, 3, size, size), dtype=torch.uint8, generator=draws(seed))
    return Images(pixels, torch.arange(rows) % CLASSES)
