"""Each kind of corruption against a plain program."""

import colorsys
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from selfdistill.metrics.corruption import CORRUPTIONS
from selfdistill.metrics.corruption.blur import disk
from selfdistill.metrics.corruption.digital import affine
from selfdistill.metrics.corruption.weather import plasma

SIZE = 32


def seed():
    return Generator().manual_seed(0)


@pytest.fixture
def images():
    """Colours of every kind, grey and black among them."""
    pixels = torch.randint(256, (3, 3, SIZE, SIZE), generator=seed(), dtype=torch.uint8)
    pixels[0, :, :9] = pixels[0, :1, :9]
    pixels[1, :, 4] = 0
    return pixels


def grey(value, count=40):
    return torch.full((count, 3, SIZE, SIZE), value, dtype=torch.uint8)


def close(found, want):
    """Equal but for the last step of rounding."""
    assert (found.int() - torch.as_tensor(want).int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("gaussian_noise", (0.04, 0.06, 0.08, 0.09, 0.10)),
        ("speckle_noise", tuple(0.4 * each for each in (0.06, 0.1, 0.12, 0.16, 0.2))),
        ("shot_noise", tuple((0.4 / each) ** 0.5 for each in (500, 250, 100, 75, 50))),
    ],
)
def test_noise_has_its_mean_and_deviation(name, deviation):
    for severity, wanted in enumerate(deviation, start=1):
        values = CORRUPTIONS[name](grey(102), severity, seed()).double() / 255 + 0.5 / 255  # 0.4, truncated
        assert values.mean().item() == pytest.approx(0.4, abs=2e-3)
        assert values.std().item() == pytest.approx(wanted, rel=0.03)  # the steps of 255 count too


def test_impulses_are_as_many_as_asked_half_of_them_white():
    for severity, share in enumerate((0.01, 0.02, 0.03, 0.05, 0.07), start=1):
        found = CORRUPTIONS["impulse_noise"](grey(100, count=400), severity, seed())
        assert set(found.unique().tolist()) == {0, 100, 255}
        assert (found != 100).double().mean().item() == pytest.approx(share, rel=0.05)
        assert (found[found != 100] == 255).double().mean().item() == pytest.approx(0.5, abs=0.03)


def by_hsv(images, change):
    """Pixel by pixel with Python's own conversion."""
    values = images.movedim(1, -1).double() / 255
    rows = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*pixel))) for pixel in values.reshape(-1, 3).tolist()]
    return (torch.tensor(rows).view(values.shape).movedim(-1, 1).clamp(0, 1) * 255).floor()


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_brightness_and_saturation_are_those_of_hsv(images, severity):
    more = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    want = by_hsv(images, lambda h, s, v: (h, s, min(v + more, 1)))
    close(CORRUPTIONS["brightness"](images, severity, seed()), want)
    factor, more = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[severity - 1]
    want = by_hsv(images, lambda h, s, v: (h, min(s * factor + more, 1), v))
    close(CORRUPTIONS["saturate"](images, severity, seed()), want)


def test_contrast_by_numpy(images):
    for severity, kept in enumerate((0.75, 0.5, 0.4, 0.3, 0.15), start=1):
        values = images.numpy() / 255
        mean = values.mean(axis=(2, 3), keepdims=True)
        close(CORRUPTIONS["contrast"](images, severity, seed()), np.uint8(((values - mean) * kept + mean) * 255))


@pytest.mark.parametrize("name", ["pixelate", "jpeg_compression"])
def test_pillows_work(images, name):
    for severity in range(1, 6):
        found = CORRUPTIONS[name](images, severity, seed())
        for row, shown in zip(images, found, strict=True):
            picture = Image.fromarray(row.movedim(0, -1).numpy())
            if name == "pixelate":
                few = (30, 28, 27, 24, 20)[severity - 1]
                picture = picture.resize((few, few), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BOX)
            else:
                file = io.BytesIO()
                picture.save(file, "JPEG", quality=(80, 65, 58, 50, 40)[severity - 1])
                picture = Image.open(file)
            assert torch.equal(shown, torch.tensor(np.asarray(picture)).movedim(-1, 0))


def test_glass_is_the_published_loop_with_its_views(images):
    """At a deviation of 0.05 the Gaussians do nothing, so that only the loop is left."""
    found = CORRUPTIONS["glass_blur"](images, 1, seed())
    up, left = torch.randint(-1, 1, (2, 3, 30, 30), generator=seed()).tolist()
    want = images.movedim(1, -1).numpy().copy()
    for picture, down, right in zip(want, up, left, strict=True):
        for h in range(31, 1, -1):
            for w in range(31, 1, -1):
                y, x = h + down[h - 2][w - 2], w + right[h - 2][w - 2]
                picture[h, w], picture[y, x] = picture[y, x], picture[h, w]  # views: this copies
    assert torch.equal(found, torch.tensor(want).movedim(-1, 1))
    assert not torch.equal(found, images)


def test_a_disc_by_hand():
    kernel = disk(1, 1e-3)  # no softening
    assert kernel[1:-1, 1:-1].tolist() == pytest.approx(np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) / 5)
    assert disk(0.3, 0.4).sum() == pytest.approx(1)
    assert disk(0.3, 0.4)[1, 1] == pytest.approx(1 / (1 + 2 * np.exp(-1 / 0.32)) ** 2)
    assert disk(1.5, 0.1)[1:-1, 1:-1].count_nonzero() == 9


def test_an_affine_map_that_moves_nothing_and_one_that_does(images):
    values = images.double() / 255
    torch.testing.assert_close(affine(values.float(), 0.0, seed()), values.float(), atol=1e-4, rtol=0)
    ramp = torch.stack(torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij"))[None]
    moved = affine(ramp, 2.5, seed())
    inside = moved[0, :, 8:24, 8:24]  # far from the mirrored border the map of a ramp is a plane
    across = inside.diff(n=2, dim=1).abs().max(), inside.diff(n=2, dim=2).abs().max()
    assert max(across) < 1e-3
    assert (inside - ramp[0, :, 8:24, 8:24]).abs().max() > 0.5
    drawn = 2.5 * (torch.rand(1, 3, 2, generator=seed())[0] * 2 - 1)
    x, y = torch.tensor([26.0, 6.0]) + drawn[1]  # the point (26, 6) comes to lie here
    corner = moved[0, :, int(y), int(x)]
    assert corner.tolist() == pytest.approx([6, 26], abs=1.6)


def test_elastic_at_severity_1_warps_nothing(images):
    from selfdistill.metrics.corruption.pixels import to_uint8, to_unit_range

    found = CORRUPTIONS["elastic_transform"](images, 1, seed())
    close(found, to_uint8(affine(to_unit_range(images), 0.08 * 32, seed())))


def test_clouds_fill_their_range():
    cloud = plasma(4, 32, 3, seed())
    assert cloud.shape == (4, 32, 32)
    assert cloud.amin(dim=(1, 2)).tolist() == [0] * 4
    assert cloud.amax(dim=(1, 2)).tolist() == [1] * 4
    smooth, rough = (plasma(50, 32, decay, seed()).diff(dim=1).abs().mean() for decay in (3, 1.75))
    assert smooth < rough


def test_fog_keeps_the_range_of_an_image():
    dark = CORRUPTIONS["fog"](grey(51), 5, seed())
    assert dark.max() <= 51
    assert CORRUPTIONS["fog"](grey(0), 5, seed()).max() == 0


def test_snow_only_whitens(images):
    found = CORRUPTIONS["snow"](images, 3, seed())
    assert (found.int() >= images.int() - 1).all()
    assert found.double().mean() > images.double().mean()
