import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Generator

from selfdistill.metrics.corruption.filters import (
    convolve,
    directional_blur,
    reflect,
    replicate,
    sample_bilinear,
    shift,
    smooth,
    symmetric,
    zoom_in,
)

BORDERS = [(replicate, "nearest"), (reflect, "mirror"), (symmetric, "reflect")]  # by SciPy's names


@pytest.fixture
def images():
    return torch.rand(2, 3, 9, 9, generator=Generator().manual_seed(0), dtype=torch.float64)


def each_channel(images, change):
    return torch.tensor(np.array([[change(channel.numpy()) for channel in image] for image in images]))


@pytest.mark.parametrize(("border", "mode"), BORDERS)
def test_convolution_and_borders_are_scipys(images, border, mode):
    kernel = torch.rand(5, 7, generator=Generator().manual_seed(1), dtype=torch.float64)
    want = each_channel(images, lambda channel: ndimage.correlate(channel, kernel.numpy(), mode=mode))
    torch.testing.assert_close(convolve(images, kernel, border), want)


@pytest.mark.parametrize(("border", "mode"), BORDERS)
@pytest.mark.parametrize(("sigma", "truncate"), [(0.05, 4), (0.4, 4), (1.0, 4), (3.5, 3)])  # wider than the image
def test_the_gaussian_is_scipys(images, border, mode, sigma, truncate):
    want = each_channel(images, lambda channel: ndimage.gaussian_filter(channel, sigma, mode=mode, truncate=truncate))
    torch.testing.assert_close(smooth(images, sigma, border, truncate), want, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1.03, 1.25, 1.75, 2.25])
def test_the_zoom_is_scipys(images, factor):
    def by_scipy(channel):
        size = len(channel)
        part = int(np.ceil(size / factor))
        top = (size - part) // 2
        large = ndimage.zoom(channel[top : top + part, top : top + part], factor, order=1)
        trim = (len(large) - size) // 2
        return large[trim : trim + size, trim : trim + size]

    torch.testing.assert_close(zoom_in(images, factor), each_channel(images, by_scipy))


@pytest.mark.parametrize(("border", "mode"), [(reflect, "mirror"), (symmetric, "reflect")])
def test_sampling_is_scipys(images, border, mode):
    y, x = torch.rand(2, 2, 9, 9, generator=Generator().manual_seed(2), dtype=torch.float64) * 30 - 10
    found = sample_bilinear(images, y, x, border)
    for image, down, right, shown in zip(images, y, x, found, strict=True):
        want = [ndimage.map_coordinates(channel.numpy(), [down, right], order=1, mode=mode) for channel in image]
        torch.testing.assert_close(shown, torch.tensor(np.array(want)))


def test_motion_by_a_loop(images):
    angles, found = torch.tensor([0.0, -40.0]), None
    found = directional_blur(images, 2, 1.5, angles)
    weights = np.exp(-(np.arange(5) ** 2) / (2 * 1.5**2))
    for b, angle in enumerate(np.deg2rad([0.0, -40.0])):
        for y in range(9):
            for x in range(9):
                total = torch.zeros(3, dtype=torch.float64)
                for k, weight in enumerate(weights / weights.sum()):
                    down, right = (int(np.ceil(k * turn(angle) - 0.5)) for turn in (np.sin, np.cos))
                    total += weight * images[b, :, np.clip(y + down, 0, 8), np.clip(x + right, 0, 8)]
                torch.testing.assert_close(found[b, :, y, x], total, atol=1e-6, rtol=1e-6)


def test_a_shift_by_hand():
    image = torch.arange(9.0).view(1, 1, 3, 3)
    assert shift(image, torch.tensor([1]), torch.tensor([0])).flatten().tolist() == [3, 4, 5, 6, 7, 8, 6, 7, 8]
    assert shift(image, torch.tensor([0]), torch.tensor([-1])).flatten().tolist() == [0, 0, 1, 3, 3, 4, 6, 6, 7]
