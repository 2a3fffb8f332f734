"""The center crop of test images."""

import numpy as np
from PIL import Image

from selfdistill.data.center_crop import CenterCrop
from selfdistill.data.pixel_format import PixelFormat
from selfdistill.data.whole_image import resize_and_crop


def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))


def test_a_crop_fraction_resizes_the_shorter_side_first():
    whole = picture().resize((24, 16), Image.Resampling.BILINEAR)  # 14 / 0.875
    assert (
        resize_and_crop(picture(), 14, crop=CenterCrop(0.875, "bilinear")).tobytes()
        == whole.crop((5, 1, 19, 15)).tobytes()
    )


def test_by_default_the_crop_is_as_wide_as_the_shorter_side():
    whole = picture().resize((24, 16), Image.Resampling.BICUBIC)
    assert resize_and_crop(picture(), 16).tobytes() == whole.crop((4, 0, 20, 16)).tobytes()


def test_other_channels_and_bits_are_cropped_alike():
    colors = np.asarray(picture()).astype(np.float32)
    crop, form = CenterCrop(0.875, "bilinear"), PixelFormat(4, 16)
    found = resize_and_crop(np.concatenate([257 * colors, 257 * colors[..., :1]], axis=2), 14, form, crop)
    wanted = np.asarray(resize_and_crop(picture(), 14, crop=crop), dtype=np.float32)
    assert found.shape == (14, 14, 4)
    assert np.abs(found[..., :3] / 257 - wanted).max() <= 1.0
    assert np.array_equal(found[..., 3], found[..., 0])
