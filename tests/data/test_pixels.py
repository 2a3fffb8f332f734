import pytest
import torch

from selfdistill.data import pixels
from selfdistill.data.decode import decode
from selfdistill.data.pixels import resize
from selfdistill.errors import UserError
from tests.helpers.image_files import encoded


def test_resizing_averages_and_rounds():
    image = torch.tensor([[0, 1], [1, 1]], dtype=torch.uint8)
    flat = resize(torch.full((1030, 3, 4, 4), 9, dtype=torch.uint8), 2)  # more than one block
    assert (flat == 9).all()
    assert len(flat) == 1030
    assert resize(image.expand(1, 3, 2, 2), 1).flatten().tolist() == [1, 1, 1]  # of 0.75


def test_the_same_size_is_left_alone():
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    assert resize(images, 4) is images
    assert resize(images, None) is images


def test_more_than_half_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(pixels, "physical_memory", lambda: 2 * 3 * 64 * 10 - 1)
    message = r"10 images of 8x8 pixels need .* GiB, more than half .* --size, or --limit"
    with pytest.raises(UserError, match=message):
        decode([encoded(k) for k in range(10)], str, None)
    with pytest.raises(UserError, match=message):
        resize(torch.zeros(10, 3, 4, 4, dtype=torch.uint8), 8)
    assert len(decode([encoded(k) for k in range(9)], str, None)) == 9


def test_the_machine_has_memory():
    assert pixels.physical_memory() > 2**20
