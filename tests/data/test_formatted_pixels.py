"""Pixels of image files with all channels and bits."""

import io
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from selfdistill.data.decode import decode, decode_one, probe
from selfdistill.data.formatted_pixels import resize_values
from selfdistill.data.pixel_format import PixelFormat
from selfdistill.data.rgb import ValueRange
from selfdistill.data.visible_pixels import visible
from selfdistill.errors import UserError

DEEP = PixelFormat(bits=16)
SIDE = 6


def drawn(channels, top=256, side=SIDE):
    return np.random.default_rng(channels).integers(0, top, (side, side, channels))


def png(values):
    """A PNG of 8 bits, as bytes."""
    return saved(Image.fromarray(np.squeeze(values.astype(np.uint8))), "PNG")


def saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def deep_png(values):
    """A PNG of 16 bits a channel, which Pillow does not write in colors."""
    if values.shape[2] == 1:
        return saved(Image.fromarray(values[..., 0].astype(np.uint16)), "PNG")
    return imagecodecs.png_encode(values.astype(np.uint16))


def tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def read(encoded, form, size=None, shown=None):
    """Pixels [H, W, C]."""
    found = decode_one([encoded], 0, lambda _: "a.png", size, SIDE, shown, form)
    return found.transpose(1, 2, 0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_of_16_bits_keeps_all_values(channels):
    values = drawn(channels, 2**16)
    found = read(deep_png(values), PixelFormat(channels, 16))
    assert found.dtype == np.int32
    assert np.array_equal(found, values)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_of_any_channels_keeps_all_values(channels, bits):
    values = drawn(channels, 2**bits).astype(f"uint{bits}")
    stored = values[..., 0] if channels == 1 else values
    kind = "rgb" if channels == 3 else "minisblack"
    encoded = tiff(stored, photometric=kind, planarconfig="contig" if channels > 1 else None)
    assert np.array_equal(read(encoded, PixelFormat(channels, bits)), values)


def test_a_tiff_that_no_viewer_shows_is_named():
    encoded = tiff(drawn(3).astype(np.uint8), photometric="minisblack", planarconfig="contig")
    with pytest.raises(UserError, match="TIFF of channels or bits that no viewer shows, which --channels and --bits"):
        read(encoded, PixelFormat())
    assert np.array_equal(read(encoded, DEEP), drawn(3) * 257)


def test_planes_of_a_tiff_are_channels():
    values = drawn(5, 2**16).astype(np.uint16)
    planes = np.ascontiguousarray(values.transpose(2, 0, 1))
    found = read(tiff(planes, photometric="minisblack", planarconfig="separate"), PixelFormat(5, 16))
    assert np.array_equal(found, values)


def test_alpha_is_kept_as_the_fourth_channel():
    values = drawn(4)
    assert np.array_equal(read(png(values), PixelFormat(4)), values)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_without_alpha_are_opaque(channels):
    found = read(png(drawn(channels)), PixelFormat(4))
    assert np.array_equal(found[..., :3], np.broadcast_to(drawn(channels), (SIDE, SIDE, 3)))
    assert (found[..., 3] == 255).all()


def test_a_transparent_color_of_a_palette_is_kept():
    image = Image.fromarray(np.eye(SIDE, dtype=np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    found = read(saved(image, "PNG", transparency=1), PixelFormat(4))
    assert (found[0, 0, 3], found[0, 1, 3]) == (0, 255)
    assert found[0, 1].tolist() == [10, 20, 30, 255]


def test_bytes_become_words_of_the_same_brightness():
    values = drawn(3)
    assert np.array_equal(read(png(values), DEEP), values * 257)
    assert np.array_equal(read(png(values), PixelFormat(1, 16))[..., 0].round(-4) // 1000, luminance(values * 257))


def luminance(values):
    found = (values @ [19595, 38470, 7471] / 2**16).round().astype(int)
    return found.round(-4) // 1000


def test_words_become_bytes_where_only_channels_are_asked_for():
    values = drawn(4, 2**16)
    assert np.array_equal(read(deep_png(values), PixelFormat(4)), (values / 257).round())


def test_alpha_is_composited_over_white_at_16_bits():
    values = drawn(4, 2**16)
    values[..., 3] = 0
    assert (read(deep_png(values), DEEP) == 2**16 - 1).all()


def test_grey_of_16_bits_is_three_equal_channels():
    values = drawn(1, 2**16)
    assert np.array_equal(read(deep_png(values), DEEP), np.broadcast_to(values, (SIDE, SIDE, 3)))


def test_a_range_scales_floats_to_16_bits():
    values = drawn(5, 1000).astype(np.float32) / 999
    encoded = tiff(values, photometric="minisblack", planarconfig="contig")
    assert np.array_equal(read(encoded, PixelFormat(5, 16), shown=ValueRange(0, 1)), (values * 65535.0).round())
    with pytest.raises(UserError, match=r"a\.png has float32 pixels, .* add them to --data, such as \?range=0\.\.1"):
        read(encoded, PixelFormat(5, 16))


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, -1), (8, 1)])
@pytest.mark.parametrize("bits", [8, 16])
def test_orientation_is_applied(orientation, turn, bits):
    values = drawn(5, 2**bits).astype(f"uint{bits}")
    tags = [(274, "H", 1, orientation, True)]
    encoded = tiff(values, photometric="minisblack", planarconfig="contig", extratags=tags)
    assert np.array_equal(read(encoded, PixelFormat(5, bits)), np.rot90(values, turn))


@pytest.mark.parametrize(
    ("channels", "wanted", "why"),
    [
        (3, 5, r"the image a\.png has 3 channels, not 5; pass --channels 3 if all images have these"),
        (4, 2, r"has 4 channels, not 2"),
        (1, 2, r"has 1 channel, not 2"),
    ],
)
def test_other_channels_are_refused(channels, wanted, why):
    with pytest.raises(UserError, match=why):
        read(png(drawn(channels)), PixelFormat(wanted))


def test_channels_of_no_known_meaning_are_not_mixed():
    encoded = tiff(drawn(4).astype(np.uint8), photometric="minisblack", planarconfig="contig")
    with pytest.raises(UserError, match=r"has 4 channels, not 1; pass --channels 4"):
        read(encoded, PixelFormat(1, 16))


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "selfdistill.data.tiff_image", None)
    encoded = tiff(drawn(5).astype(np.uint8), photometric="minisblack", planarconfig="contig")
    with pytest.raises(UserError, match=r"TIFF .*pip install 'selfdistill\[deep\]'"):
        read(encoded, PixelFormat(5))


def test_images_are_resized_and_cropped_by_channel():
    values = drawn(5, 2**16, side=12).astype(np.uint16)
    encoded = tiff(values, photometric="minisblack", planarconfig="contig")
    found = decode([encoded] * 2, lambda _: "a.tif", 4, None, PixelFormat(5, 16))
    assert found.shape == (2, 5, 4, 4)
    assert found.double().mean().item() == pytest.approx(values.mean(), rel=0.02)


def test_resizing_stays_within_the_range():
    steps = np.where(np.arange(8) < 4, 0, 65535)[None, :, None].repeat(8, axis=0).astype(np.float32)
    found = resize_values(steps, (16, 16), 65535)
    assert (found.min(), found.max()) == (0, 65535)


def test_what_is_not_read_is_probed():
    extra = tiff(drawn(5).astype(np.uint8), photometric="rgb", planarconfig="contig")
    assert probe(extra, "a.tif").channels == 5
    assert probe(extra, "a.tif", form=PixelFormat(5)).channels == 0
    assert probe(png(drawn(4)), "a.png").channels == 0
    for channels in (1, 3):
        assert probe(deep_png(drawn(channels, 2**16)), "a.png").deep
        assert not probe(deep_png(drawn(channels, 2**16)), "a.png", form=DEEP).deep
    assert not probe(png(drawn(3)), "a.png").deep


def test_drawings_have_colors_of_8_bits():
    pixels = decode([deep_png(drawn(4, 2**16))], lambda _: "a.png", None, None, PixelFormat(4, 16))
    assert np.array_equal(visible(pixels)[0].permute(1, 2, 0).numpy(), drawn(4, 2**16)[..., :3] // 256)
    assert visible(pixels[:, :2])[0, 2].equal((pixels[0, 0] // 256).byte())
