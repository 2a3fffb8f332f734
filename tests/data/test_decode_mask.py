import numpy as np
import pytest
from PIL import Image

from selfdistill.data.decode_mask import MaskFormat, decode_mask
from selfdistill.errors import UserError
from tests.helpers.mask_files import gray_png, ids, save_mask, wanted

COLORS = ((0, 0, 0), (128, 64, 128), (70, 70, 70), (255, 255, 255))


def read(path, **form):
    return decode_mask(path, path.name, MaskFormat(**form))


@pytest.mark.parametrize("mode", ["L", "P"])
def test_values_of_gray_and_palette_masks_are_ids(tmp_path, mode):
    save_mask(tmp_path / "m.png", ids(), mode)
    found = read(tmp_path / "m.png")
    assert found.dtype == np.int16
    assert np.array_equal(found, wanted(ids()))


def test_sixteen_bits_hold_more_ids(tmp_path):
    values = ids().astype(np.uint16)
    values[0, 0], values[1, 1] = 3000, 65535
    save_mask(tmp_path / "m.png", values)
    found = read(tmp_path / "m.png", ignored=65535)
    assert found[0, 0] == 3000
    assert found[1, 1] == -100
    assert found[-1, -1] == 255
    Image.fromarray(values.astype(np.int32)).save(tmp_path / "m.tif")
    assert np.array_equal(read(tmp_path / "m.tif", ignored=65535), found)


def test_black_and_white_masks_are_two_classes(tmp_path):
    Image.fromarray(ids(classes=2, ignored=None).astype(bool)).save(tmp_path / "m.png")
    assert np.array_equal(read(tmp_path / "m.png"), ids(classes=2, ignored=None))


@pytest.mark.parametrize(("bits", "classes"), [(2, 4), (4, 9)])
def test_gray_of_few_bits_is_not_stretched(tmp_path, bits, classes):
    values = ids(classes=classes, width=7, ignored=None)
    (tmp_path / "m.png").write_bytes(gray_png(values, bits))
    with Image.open(tmp_path / "m.png") as image:
        assert np.array_equal(np.asarray(image), values * (255 // (2**bits - 1)))  # as Pillow shows them
    assert np.array_equal(read(tmp_path / "m.png"), values)


def test_nothing_is_ignored_on_demand(tmp_path):
    save_mask(tmp_path / "m.png", ids())
    assert np.array_equal(read(tmp_path / "m.png", ignored=None), ids())


def test_ids_above_the_ignored_one_move_down(tmp_path):
    save_mask(tmp_path / "m.png", np.array([[0, 1, 2, 3]], dtype=np.uint8))
    assert read(tmp_path / "m.png", ignored=0, shifted=True).tolist() == [[-100, 0, 1, 2]]
    assert read(tmp_path / "m.png", ignored=2, shifted=True).tolist() == [[0, 1, -100, 2]]
    assert read(tmp_path / "m.png", ignored=2).tolist() == [[0, 1, -100, 3]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colors_are_places_in_their_list(tmp_path, mode):
    values = ids(classes=4, ignored=None)
    Image.fromarray(np.array(COLORS, dtype=np.uint8)[values]).convert(mode).save(tmp_path / "m.png")
    assert np.array_equal(read(tmp_path / "m.png", colors=COLORS), values)
    assert np.array_equal(read(tmp_path / "m.png", colors=COLORS, ignored=3), wanted(values, 3))


def test_masks_of_0_and_255_are_read_by_their_colors(tmp_path):
    save_mask(tmp_path / "m.png", np.array([[0, 255, 0]], dtype=np.uint8))
    assert read(tmp_path / "m.png", colors=((0, 0, 0), (255, 255, 255))).tolist() == [[0, 1, 0]]


def test_a_palette_holds_ids_beside_a_list_of_colors(tmp_path):
    save_mask(tmp_path / "m.png", ids(), "P")
    assert np.array_equal(read(tmp_path / "m.png", colors=COLORS), wanted(ids()))


def test_a_color_that_is_not_listed_is_named(tmp_path):
    pixels = np.zeros((4, 5, 3), dtype=np.uint8)
    pixels[2, 3] = 1, 2, 3
    Image.fromarray(pixels).save(tmp_path / "m.png")
    with pytest.raises(
        UserError, match=r"mask m.png has the color 1 2 3 \(row 2, column 3\), which the list of classes"
    ):
        read(tmp_path / "m.png", colors=COLORS)


def test_a_mask_is_turned_by_an_orientation_of_its_own(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(ids()).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(read(tmp_path / "m.png"), np.rot90(wanted(ids()), -1))


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        (
            "m.png",
            Image.new("RGB", (4, 4)),
            r"mask m.png is an image of mode RGB, .* classes.txt \(lines of NAME R G B",
        ),
        ("m.png", Image.new("LA", (4, 4)), r"image of mode LA, but a mask has one whole number for each pixel"),
        ("m.tif", Image.new("F", (4, 4)), r"image of mode F"),
        (
            "m.jpg",
            Image.new("L", (4, 4)),
            r"mask m.jpg is a JPEG, which changes ids and colors at edges; save masks as",
        ),
        ("m.tif", Image.new("I", (4, 4), -3), r"has the value -3, but class ids go from 0 to 32767; name the value of"),
        ("m.tif", Image.new("I", (4, 4), 70000), r"has the value 70000, but class ids go from 0 to 32767"),
    ],
)
def test_what_is_no_mask_is_answered(tmp_path, name, image, message):
    image.save(tmp_path / name)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


def test_a_broken_mask_is_named(tmp_path):
    (tmp_path / "m.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cannot read the image m.png: it has no known image format"):
        read(tmp_path / "m.png")
