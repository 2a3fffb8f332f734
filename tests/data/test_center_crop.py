"""The center crop of test images."""

import numpy as np
from PIL import Image

from selfdistill.data.center_crop import CenterCrop


def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))


def test_a_crop_fraction_resizes_the_shorter_side_first():
    whole = picture().resize((24, 16), Image.Resampling.BILINEAR)  # 14 / 0.875
    assert CenterCrop(0.875, "bilinear")(picture(), 14).tobytes() == whole.crop((5, 1, 19, 15)).tobytes()


def test_by_default_the_crop_is_as_wide_as_the_shorter_side():
    whole = picture().resize((24, 16), Image.Resampling.BICUBIC)
    assert CenterCrop()(picture(), 16).tobytes() == whole.crop((4, 0, 20, 16)).tobytes()
