"""scikit-learn's real handwritten digits: 1797 images of 8x8, always there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.data.images import Images
from selfdistill.data.sources import Pick, Raw
from selfdistill.data.split import held_out

TEST_SHARE, TEST_SEED = 0.2, 0  # the same test images whatever the run's seed


def read(name: str, argument: str, pick: Pick, size: int | None) -> Raw:
    """Read all digits, a stratified fifth of them as the test set."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = torch.from_numpy(digits.images)[:, None] * (255 / 16)  # [N, 1, 8, 8], from 0 to 16
    labels = torch.from_numpy(digits.target).long()
    whole = Images(_pixels(grey, size), labels)
    train, test = held_out(labels, TEST_SHARE, TEST_SEED)
    train = train[pick(labels[train])]
    return Raw(whole.rows(train), None, whole.rows(test), tuple(map(str, range(10))), flip=False)


def _pixels(grey: Tensor, size: int | None) -> Tensor:
    if size and size != grey.shape[-1]:
        grey = F.interpolate(grey, (size, size), mode="bilinear", align_corners=False)
    return grey.round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
