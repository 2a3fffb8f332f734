"""What holds for every corruption, on real images."""

import pytest
import torch
from torch import Generator

from selfdistill import data
from selfdistill.metrics.corruption import CORRUPTIONS, EXTRA, SEVERITIES

UNEVEN = {"glass_blur", "elastic_transform", "saturate"}  # the published severities change other things


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", size=32).test.images[:60]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severity_grows_on_average(name, digits):
    shown = [CORRUPTIONS[name](digits, severity, Generator().manual_seed(0)).float() for severity in SEVERITIES]
    far = [(each - digits.float()).square().mean().item() for each in shown]
    assert far[-1] > 0
    if name not in UNEVEN:
        assert far[0] > 0
        assert far == sorted(far)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("size", [1, 8, 33])
def test_any_size_comes_back_as_it_was_and_the_draws_decide(name, size):
    pixels = torch.randint(256, (2, 3, size, size), generator=Generator().manual_seed(1), dtype=torch.uint8)
    before = pixels.clone()
    for severity in SEVERITIES:
        once, again = (CORRUPTIONS[name](pixels, severity, Generator().manual_seed(5)) for _ in range(2))
        assert (once.shape, once.dtype) == (pixels.shape, torch.uint8)
        assert torch.equal(once, again)
    assert torch.equal(pixels, before)


def test_the_names_are_those_of_the_published_set():
    noises, blurs = {"gaussian_noise", "shot_noise", "impulse_noise"}, {"defocus_blur", "glass_blur", "motion_blur"}
    weathers = {"zoom_blur", "snow", "frost", "fog", "brightness"}
    published = noises | blurs | weathers | {"contrast", "elastic_transform", "pixelate", "jpeg_compression"}
    assert published - set(CORRUPTIONS) == {"frost"}
    assert set(CORRUPTIONS) - published == set(EXTRA)
