"""scikit-learn's handwritten digits: 1797 images of 8x8, no download."""

import torch

from selfdistill.data.images import Images
from selfdistill.data.pixels import resize
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.subsets import complement, stratified

TEST, TEST_SEED = 359, 0  # a fifth; the test images do not depend on the run's seed
CLASSES = tuple("0123456789")


def read(name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
    """Read all digits, a stratified fifth of them as the test set."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = torch.from_numpy(digits.target).long()
    grey = (torch.from_numpy(digits.images) * (255 / 16)).round().to(torch.uint8)  # values from 0 to 16
    whole = Images(resize(grey[:, None].repeat(1, 3, 1, 1), size), labels)
    test = stratified(labels, TEST, TEST_SEED)
    train = complement(test, len(labels))
    return SourceData(whole.rows(train[pick(labels[train], CLASSES)]), None, whole.rows(test), CLASSES, flip=False)
