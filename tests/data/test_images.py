import pytest
import torch
from torch.testing import assert_close

from selfdistill.data import Images, Splits
from selfdistill.data.images import require_classes
from selfdistill.errors import UserError


def splits(pixels):
    images = Images(pixels, torch.arange(len(pixels)))
    return Splits(images, None, images, ("a", "b"), "noise")


def test_mean_and_deviation_are_those_of_the_pixels():
    pixels = torch.randint(0, 256, (5000, 3, 4, 4), dtype=torch.uint8)  # more than one block
    made, shares = splits(pixels), pixels.double() / 255
    assert_close(torch.tensor(made.mean).double(), shares.mean(dim=(0, 2, 3)))
    assert_close(torch.tensor(made.std).double(), shares.std(dim=(0, 2, 3), correction=0))


def test_images_of_one_value_can_still_be_normalised():
    assert splits(torch.full((2, 3, 4, 4), 7, dtype=torch.uint8)).std == (1e-3,) * 3


def test_images_are_a_data_set():
    images = Images(torch.arange(2 * 3 * 4).view(2, 3, 2, 2).byte(), torch.tensor([5, 6]))
    pixels, label = images[1]
    assert len(images) == 2
    assert pixels.equal(images.images[1])
    assert (label, type(label)) == (6, int)
    assert images.rows(torch.tensor([1])).labels.tolist() == [6]
    assert images.size == 2


def test_a_class_without_images_is_named():
    with pytest.raises(UserError, match=r"^2 of 4 classes in here have no training image \(cat, eel\); add images"):
        require_classes(torch.tensor([0, 2]), ("ant", "cat", "dog", "eel"), "here")


def test_one_class_is_not_enough():
    with pytest.raises(UserError, match=r"here has 1 class.*two at least"):
        require_classes(torch.tensor([0, 0]), ("ant",), "here")
