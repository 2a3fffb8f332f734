"""scikit-learn's real handwritten digits: 1797 images of 8x8, always there."""

from typing import Any

import torch

from selfdistill.data.images import Images
from selfdistill.data.pixels import resized
from selfdistill.data.sources import Pick, Raw
from selfdistill.data.subsets import others, stratified

TEST, TEST_SEED = 359, 0  # a fifth: the same test images whatever the run's seed
CLASSES = tuple("0123456789")


def read(name: str, argument: str, pick: Pick, size: int | None) -> Raw:
    """Read all digits, a stratified fifth of them as the test set."""
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    labels = torch.from_numpy(digits.target).long()
    grey = (torch.from_numpy(digits.images) * (255 / 16)).round().to(torch.uint8)  # they go from 0 to 16
    whole = Images(resized(grey[:, None].repeat(1, 3, 1, 1), size), labels)
    test = stratified(labels, TEST, TEST_SEED)
    train = others(test, len(labels))
    return Raw(whole.rows(train[pick(labels[train], CLASSES)]), None, whole.rows(test), CLASSES, flip=False)
