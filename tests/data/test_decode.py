import io

import numpy as np
import pytest
from PIL import Image

from selfdistill.data.decode import decode
from selfdistill.errors import UserError
from tests.helpers.image_files import channels_first, encoded, picture, save


def name(row):
    return f"in row {row}"


def test_bytes_and_files_give_the_pixels_in_order(tmp_path):
    save(tmp_path / "one.png", seed=200)
    sources = [encoded(k, form="WEBP" if k % 2 else "PNG") for k in range(150)]  # three blocks
    pixels = decode([*sources, tmp_path / "one.png"], name, None)
    assert pixels.shape == (151, 3, 8, 8)
    for row, seed in [(0, 0), (1, 1), (99, 99), (149, 149), (150, 200)]:
        assert np.array_equal(pixels[row].numpy(), channels_first(picture(seed)))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_every_kind_of_image_becomes_rgb(mode):
    file = io.BytesIO()
    Image.new("L", (4, 4), 255).convert(mode).save(file, "PNG")
    assert (decode([file.getvalue()], name, None) == 255).all()


def test_a_broken_image_is_named():
    sources = [encoded(k) for k in range(200)]
    sources[70] = sources[70][:60]
    with pytest.raises(UserError, match=r"cannot read the image in row 70: .*; repair or remove it, or pass --skip-u"):
        decode(sources, name, None)


def test_broken_images_are_counted_and_ten_named():
    sources = [encoded(k) for k in range(200)]
    sources[190], sources[191] = sources[190][:60], b""
    with pytest.raises(UserError, match=r"2 images: in row 190 \(.*truncated.*\), in row 191 \(it is empty\); repair"):
        decode(sources, name, None)
    sources[:13] = [b"no image"] * 13
    with pytest.raises(UserError, match=r"^cannot read 15 images: in row 0 .*in row 9 \([^)]*\), and 5 more; repair"):
        decode(sources, name, 4)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_cut_image_is_told_in_plain_words(form):
    whole = encoded(0, 64, form)
    for share in (0.5, 0.9, 0.99):
        with pytest.raises(UserError, match="row 0: its (end is missing, as after a broken copy|data are damaged): "):
            decode([whole[: int(len(whole) * share)]], name, None)


def test_pillows_error_has_no_class_name():
    cut = encoded(0, 64)[:20]  # in the first chunk
    with pytest.raises(UserError, match=r"in row 0: its [^:]*: Truncated File Read; repair or remove it"):
        decode([cut], name, None)


def test_what_is_no_image_is_said_without_addresses():
    with pytest.raises(UserError, match=r"in row 0: it has no known image format; repair"):
        decode([b"no image"], name, 8)


def test_sizes_that_differ_are_named_with_the_way_out(tmp_path):
    sources = [encoded(0), encoded(1), encoded(2, size=9)]
    with pytest.raises(UserError, match=r"in row 0 has 8x8 pixels, in row 2 9x9; pass --size"):
        decode(sources, name, None)


def test_an_oblong_image_needs_a_size(tmp_path):
    save(tmp_path / "wide.png", size=12, height=8)
    with pytest.raises(UserError, match=r"in row 0 has 12x8 pixels and is not square; pass --size"):
        decode([tmp_path / "wide.png"], name, None)


def test_the_shorter_side_is_resized_and_the_centre_cut_out(tmp_path):
    save(tmp_path / "wide.png", size=12, height=8)
    save(tmp_path / "tall.png", size=8, height=13)
    cut = decode([tmp_path / "wide.png", tmp_path / "tall.png"], name, 8)
    assert np.array_equal(cut[0].numpy(), channels_first(picture(size=12, height=8))[:, :, 2:10])
    assert np.array_equal(cut[1].numpy(), channels_first(picture(size=8, height=13))[:, 2:10])


def test_resizing_averages_what_it_merges():
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = 255
    file = io.BytesIO()
    Image.fromarray(stripes).save(file, "PNG")
    small = decode([file.getvalue()], name, 8)[0, 0, 4, 2:6]
    assert ((small > 110) & (small < 145)).all()
