"""Images are shown as a viewer shows them: upright, over white, and scaled from the range of their values."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from selfdistill.data import load
from selfdistill.data.decode import decode
from selfdistill.data.rgb import ValueRange
from selfdistill.errors import UserError
from tests.helpers.image_files import table, write

RAMP = np.linspace(0, 65535, 64).reshape(8, 8)
ENCODINGS = ("folder", "stream", "parquet")


def file(image, form, **options):
    made = io.BytesIO()
    image.save(made, form, **options)
    return made.getvalue()


def pixels(encoded, shown=None):
    return decode([encoded], "row {}".format, None, shown)[0].numpy()


def in_order(shown):
    flat = shown[0].flatten().astype(int)
    return len(np.unique(flat)) == 64 and (np.diff(flat) > 0).all() and (shown == shown[:1]).all()


def loaded(tmp_path, encoded, ending, encoding, option=""):
    """Training images of a data set whose four images are the same."""
    if encoding == "parquet":
        for split in ("train", "test"):
            write(tmp_path / f"{split}.parquet", table([encoded] * 2, label=[0, 1]))
        return load(f"parquet:{tmp_path}{option}").train.images[:]
    for each in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / each).mkdir(parents=True)
        (tmp_path / each / f"0{ending}").write_bytes(encoded)
    return load(f"folder:{tmp_path}{option}", decode="stream" if encoding == "stream" else "once").train.images[:]


SIXTEEN = RAMP.astype(np.uint16)
BIG_ENDIAN = Image.frombytes("I;16B", (8, 8), SIXTEEN.astype(">u2").tobytes())


@pytest.mark.parametrize(
    "encoded",
    [
        file(Image.fromarray(SIXTEEN), "PNG"),
        file(Image.fromarray(SIXTEEN), "TIFF"),
        file(Image.fromarray(SIXTEEN), "TIFF", compression="tiff_lzw"),
        file(BIG_ENDIAN, "TIFF"),
        file(Image.fromarray(SIXTEEN), "PPM"),
        file(Image.fromarray(SIXTEEN), "JPEG2000"),
        b"P5 8 8 4095\n" + (SIXTEEN // 16).astype(">u2").tobytes(),
        b"P2 8 8 1023\n" + " ".join(map(str, (SIXTEEN // 64).flatten())).encode(),
    ],
    ids=["png", "tiff", "lzw", "big endian", "pgm", "jpeg 2000", "12-bit pgm", "10-bit plain pgm"],
)
def test_sixteen_bits_are_scaled_to_eight(encoded):
    shown = pixels(encoded)
    assert in_order(shown)
    assert np.abs(shown[0] - RAMP / 257).max() <= 1


def tiff(values, bits, *, photometric=1, sample=1, order="<"):
    """An uncompressed TIFF of one grey channel, tag by tag. values [H, W]."""
    raw, (height, width) = values.tobytes(), values.shape
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, height)]
    tags += [(279, len(raw)), (339, sample)]
    kind, half = np.dtype(f"{order}u4"), np.dtype(f"{order}u2")
    head = (b"II" if order == "<" else b"MM") + np.array([42], half).tobytes()
    entries = b"".join(np.array([tag, 4], half).tobytes() + np.array([1, value], kind).tobytes() for tag, value in tags)
    directory = np.array([len(tags)], half).tobytes() + entries + bytes(4)
    return head + np.array([8 + len(raw)], kind).tobytes() + raw + directory


def packed(values):
    """Two values of 12 bits in three bytes."""
    first, second = values.reshape(-1, 2).T.astype(int)
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).reshape(8, 12)


def test_a_tiff_of_twelve_bits_is_scaled_by_its_bits():
    encoded = tiff(packed(SIXTEEN // 16), 12).replace(
        np.array([256, 4], "<u2").tobytes() + np.array([1, 12], "<u4").tobytes(),
        np.array([256, 4], "<u2").tobytes() + np.array([1, 8], "<u4").tobytes(),
    )
    assert in_order(pixels(encoded))


def test_where_white_is_zero_in_a_tiff_the_values_are_turned():
    assert in_order(pixels(tiff(65535 - SIXTEEN, 16, photometric=0)))


@pytest.mark.parametrize(
    ("encoded", "kind", "shown"),
    [
        (file(Image.fromarray((RAMP * 30000).astype(np.int32)), "TIFF"), "integer", (0, 65535 * 30000)),
        (file(Image.fromarray((RAMP / 65535).astype(np.float32)), "TIFF"), "float", (0, 1)),
        (file(Image.fromarray(RAMP.astype(np.float32)), "PPM"), "float", (0, 65535)),
        (tiff((RAMP - 32768).astype("<i2"), 16, sample=2), "integer", (-32768, 32767)),
        (tiff(RAMP.astype("<u4"), 32), "integer", (0, 65535)),
        (tiff((RAMP / 257 - 128).astype(np.int8), 8, sample=2), "signed 8-bit", (-128, 127)),
    ],
    ids=["int32", "float", "pfm", "int16", "uint32", "int8"],
)
def test_deep_pixels_without_a_range_need_one(encoded, kind, shown):
    with pytest.raises(UserError, match=rf"image row 0 has {kind} pixels .*not say which values are black and white"):
        pixels(encoded)
    assert in_order(pixels(encoded, ValueRange(*shown)))


def test_values_beyond_a_range_of_ones_own_are_clipped_and_nan_is_black():
    values = np.array([[-1.0, 0.0], [0.5, 2.0]], np.float32)
    encoded = file(Image.fromarray(values), "TIFF")
    assert pixels(encoded, ValueRange(0, 1))[0].tolist() == [[0, 0], [128, 255]]
    assert pixels(encoded, ValueRange(1, 0))[0].tolist() == [[255, 255], [128, 0]]
    values[0, 0] = np.nan
    assert pixels(file(Image.fromarray(values), "TIFF"), ValueRange(-1, 1))[0, 0, 0] == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_range_is_given_with_the_data(tmp_path, encoding):
    encoded = file(Image.fromarray(RAMP.astype(np.float32)), "TIFF")
    assert in_order(loaded(tmp_path, encoded, ".tif", encoding, "?range=0..65535")[0].numpy())


def test_values_beyond_the_range_of_the_data_are_told(tmp_path):
    encoded = file(Image.fromarray(RAMP.astype(np.float32)), "TIFF")
    with pytest.warns(
        UserWarning, match=r"up to 98 % of an image's values lie beyond \?range and are clipped, such as"
    ):
        loaded(tmp_path, encoded, ".tif", "folder", "?range=0..1")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_deep_images_that_use_little_of_their_range_are_refused(tmp_path, encoding):
    encoded = file(Image.fromarray(SIXTEEN // 16), "PNG")
    with pytest.raises(UserError, match=r"use only 6.2 % of their range, .*such as \?range=0..4095 for 12 bits"):
        loaded(tmp_path / "dark", encoded, ".png", encoding)
    assert in_order(loaded(tmp_path / "named", encoded, ".png", encoding, "?range=0..4095")[0].numpy())


def test_a_single_split_of_dark_images_is_refused(tmp_path):
    for split, values in (("train", SIXTEEN), ("test", SIXTEEN // 16)):
        cells = [file(Image.fromarray(values), "PNG")] * 2
        write(tmp_path / f"{split}.parquet", table(cells, label=[0, 1]))
    with pytest.raises(UserError, match=r"such as in row 0 of test.parquet have more than 8 bits, but use only 6.2 %"):
        load(f"parquet:{tmp_path}")


def test_colour_of_sixteen_bits_keeps_its_upper_eight(tmp_path):
    raw = np.repeat(SIXTEEN[..., None], 3, axis=2)
    assert in_order(pixels(png16(raw)))
    with pytest.raises(UserError, match=r"use only 5.9 % of their range.* convert them to 8 bits a channel"):
        loaded(tmp_path, png16(raw // 16), ".png", "once", "?range=0..4095")


def png16(colours):
    """A PNG of 16-bit colour. colours [H, W, 3] uint16."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = colours.shape
    rows = b"".join(b"\0" + row.tobytes() for row in colours.astype(">u2"))
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


HALF = np.zeros((8, 8, 3), np.uint8)
HALF[:4] = 255  # white on top as stored
WHITE_SIDE = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}


def white_side(shown):
    halves = {"top": shown[:, :4], "bottom": shown[:, 4:], "left": shown[:, :, :4], "right": shown[:, :, 4:]}
    return max(halves, key=lambda side: halves[side].mean())


@pytest.mark.parametrize("orientation", WHITE_SIDE)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(form, orientation):
    image = Image.fromarray(HALF)
    tags = image.getexif()
    tags[0x0112] = orientation
    assert white_side(pixels(file(image, form, exif=tags))) == WHITE_SIDE[orientation]


def test_deep_and_transparent_images_are_turned_too():
    ramp = Image.fromarray(SIXTEEN)
    tags = ramp.getexif()
    tags[0x0112] = 3
    assert in_order(pixels(file(ramp, "PNG", exif=tags))[:, ::-1, ::-1])
    clear = Image.fromarray(np.dstack([np.zeros((8, 8, 3), np.uint8), 255 - HALF[:, :, 0]]))  # transparent on top
    assert white_side(pixels(file(clear, "PNG", exif=tags))) == "bottom"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_orientation_is_applied_wherever_images_are_read(tmp_path, encoding):
    image = Image.fromarray(HALF)
    tags = image.getexif()
    tags[0x0112] = 6
    encoded = file(image, "JPEG", exif=tags, quality=100)
    assert white_side(loaded(tmp_path, encoded, ".jpg", encoding)[0].numpy()) == "right"


def test_a_turned_photo_is_cut_as_it_is_seen():
    wide = Image.fromarray(np.concatenate([HALF, HALF], axis=1)[:8])  # 16 wide, 8 high
    tags = wide.getexif()
    tags[0x0112] = 6
    assert white_side(decode([file(wide, "PNG", exif=tags)], str, 8)[0].numpy()) == "right"


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
def test_exif_data_that_nobody_can_read_are_passed_over(form):
    encoded = file(Image.fromarray(HALF), form, exif=b"Exif\0\0no tags")
    assert white_side(pixels(encoded)) == "top"


def palette(alpha):
    """A red and a green half; palette entry 0, red, has its own alpha."""
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (0, 4, 8, 8))
    return file(image, "PNG", transparency=alpha)


CLEAR = Image.new("RGBA", (8, 8), (255, 0, 0, 0))


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (file(CLEAR, "PNG"), [255, 255, 255]),
        (file(CLEAR, "WEBP", lossless=True, exact=True), [255, 255, 255]),
        (file(CLEAR, "TIFF"), [255, 255, 255]),
        (file(Image.new("RGBA", (8, 8), (255, 0, 0, 51)), "PNG"), [255, 204, 204]),
        (file(Image.new("RGBA", (8, 8), (9, 8, 7, 255)), "PNG"), [9, 8, 7]),
        (file(Image.new("LA", (8, 8), (0, 0)), "PNG"), [255, 255, 255]),
        (file(Image.new("LA", (8, 8), (0, 51)), "PNG"), [204, 204, 204]),
        (file(Image.new("RGB", (8, 8), (9, 8, 7)), "PNG", transparency=(9, 8, 7)), [255, 255, 255]),
        (file(Image.new("L", (8, 8), 9), "PNG", transparency=9), [255, 255, 255]),
        (file(Image.fromarray(np.full((8, 8), 9, np.uint16)), "PNG", transparency=9), [255, 255, 255]),
        (palette(0), [255, 255, 255]),
        (palette(bytes([51, 255])), [255, 204, 204]),
        (file(Image.new("1", (8, 8), 1), "PNG"), [255, 255, 255]),
        (file(Image.new("1", (8, 8), 0), "TIFF"), [0, 0, 0]),
        (b"P4 8 8\n" + bytes([255] * 8), [0, 0, 0]),  # in PBM a 1 is black
        (file(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"), [255, 0, 0]),
        (file(Image.new("YCbCr", (8, 8), (255, 128, 128)), "JPEG", quality=100), [255, 255, 255]),
    ],
)
def test_every_mode_is_shown_as_a_viewer_shows_it(encoded, expected):
    assert pixels(encoded)[:, 0, 0].tolist() == expected


def test_a_cmyk_jpeg_is_not_inverted():
    shown = pixels(file(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))[:, 0, 0].astype(int)
    assert np.abs(shown - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_alpha_is_composited_wherever_images_are_read(tmp_path, encoding):
    assert (loaded(tmp_path, file(CLEAR, "PNG"), ".png", encoding) == 255).all()


@pytest.mark.parametrize(("form", "ending"), [("GIF", ".gif"), ("TIFF", ".tif")])
def test_several_frames_are_told(tmp_path, form, ending):
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    encoded = file(frames[0], form, save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match=rf"images such as .*0{ending} have several frames or pages, .* first is read"):
        assert (loaded(tmp_path, encoded, ending, "folder") == 10).all()


def test_the_tags_of_tiff_are_pillows():
    names = TiffImagePlugin.TiffTags.TAGS
    assert [names[tag] for tag in (258, 262, 339)] == ["BitsPerSample", "PhotometricInterpretation", "SampleFormat"]
