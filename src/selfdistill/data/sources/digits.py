"""scikit-learn's handwritten digits: 1797 images of 8x8, no download."""

import torch
from torch import Tensor

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.images import Images
from selfdistill.data.pixels import resize
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.subsets import complement, draw_test, drawn_note, stratified

TEST, TEST_SEED = 359, 0  # a fifth; the test images do not depend on the run's seed
CLASSES = tuple("0123456789")


def read(name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0) -> SourceData:
    """Read all digits, a stratified fifth of them as the test set, or the part `test`."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = torch.from_numpy(digits.target).long()
    grey = (torch.from_numpy(digits.images) * (255 / 16)).round().to(torch.uint8)  # values from 0 to 16
    whole = Images(resize(grey[:, None].repeat(1, 3, 1, 1), size), labels)
    train, tested = draw_test(labels, test) if test else _usual_split(labels)
    notes = (drawn_note(name, len(tested), len(labels), test),) if test else ()
    images = whole.rows(train[pick(labels[train], CLASSES)])
    return SourceData(images, None, whole.rows(tested), CLASSES, flip=False, notes=notes)


def _usual_split(labels: Tensor) -> tuple[Tensor, Tensor]:
    tested = stratified(labels, TEST, TEST_SEED)
    return complement(tested, len(labels)), tested
