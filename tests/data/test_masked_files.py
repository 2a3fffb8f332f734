import numpy as np
import pytest
import torch
from PIL import Image

from selfdistill.data.decode_mask import MaskFormat
from selfdistill.data.masked_files import MaskedFile, MaskedFiles, decode_pair
from selfdistill.data.scan_masks import scan_masks
from selfdistill.errors import UserError
from tests.helpers.image_files import channels_first, picture
from tests.helpers.mask_files import ids, save_mask, save_pair, wanted


def written(root, sizes):
    """Images and masks of the given sizes (width, height)."""
    made = []
    for k, (width, height) in enumerate(sizes):
        made.append(MaskedFile(root / f"{k}.png", root / f"{k}_mask.png"))
        save_pair(*made[-1], k, width, height)
    return made


def lazy(files, **options):
    return MaskedFiles(files, scan_masks(files, MaskFormat())[0].sizes, MaskFormat(), **options)


def same(pair, seed, width, height):
    assert np.array_equal(pair.image.numpy(), channels_first(picture(seed, width, height)))
    assert np.array_equal(pair.mask.numpy(), wanted(ids(seed, width, height)))


SIZES = [(8, 6), (5, 9), (7, 7), (8, 6)]


def test_each_row_has_its_own_size(tmp_path):
    found = lazy(written(tmp_path, SIZES))
    assert found.sizes.tolist() == [[height, width] for width, height in SIZES]
    assert found.nbytes == 5 * sum(width * height for width, height in SIZES)
    for row, size in enumerate(SIZES):
        same(found[row], row, *size)
    same(found[-1], 3, *SIZES[3])
    with pytest.raises(IndexError):
        found[4]


def test_rows_are_selected_without_decoding(tmp_path):
    files = written(tmp_path, SIZES)
    chosen = lazy(files).rows(torch.tensor([2, 0, 2]))
    assert len(chosen) == 3
    assert chosen.sizes.tolist() == [[7, 7], [6, 8], [7, 7]]
    same(chosen[2], 2, *SIZES[2])


@pytest.mark.parametrize("cache", [0, 300, float("inf")])
def test_the_cache_changes_no_pixel_and_holds_no_more_than_it_may(tmp_path, cache):
    found = lazy(written(tmp_path, SIZES), cache=cache)
    for row in (0, 1, 2, 3, 0, 2):
        same(found[row], row, *SIZES[row])
        assert found._held <= max(cache, 5 * 49)
        assert len(found._pending) >= 1
    assert len(found._pending) == {0: 1, 300: 1, float("inf"): 4}[cache]


def test_prefetched_rows_stay_until_they_are_read(tmp_path, monkeypatch):
    found = lazy(written(tmp_path, SIZES), cache=0)
    found.prefetch(torch.tensor([3, 1]))
    pending = dict(found._pending)
    same(found[3], 3, *SIZES[3])
    assert found._pending[3] is pending[3]
    assert found._pending[1] is pending[1]


def turned(tmp_path, orientation, size, mask):
    """An image with an EXIF orientation, and a mask, (width, height) each."""
    files = MaskedFile(tmp_path / "i.jpg", tmp_path / "m.png")
    exif = Image.Exif()
    exif[274] = orientation
    picture(0, *size).save(files.image, exif=exif)
    save_mask(files.mask, ids(0, *mask))
    return files


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_upright_and_fits_a_mask_of_the_turned_size(tmp_path, orientation):
    mask = (8, 6) if orientation < 5 else (6, 8)
    files = turned(tmp_path, orientation, (8, 6), mask)
    scan, _ = scan_masks([files], MaskFormat())
    found = decode_pair(files, MaskFormat())
    assert found.image.shape[1:] == found.mask.shape == (mask[1], mask[0]) == tuple(scan.sizes[0].tolist())
    assert scan.turned == [orientation != 1]
    assert np.array_equal(found.mask.numpy(), wanted(ids(0, *mask)))


def test_a_mask_of_the_unturned_image_is_refused(tmp_path):
    files = turned(tmp_path, 6, (8, 6), (8, 6))
    message = r"i.jpg has 6x8 pixels, its mask .*m.png 8x6: the image is turned by its EXIF orientation, and the mask"
    with pytest.raises(UserError, match=message):
        scan_masks([files], MaskFormat())
    with pytest.raises(UserError, match=message):
        decode_pair(files, MaskFormat())


def test_image_and_mask_of_two_sizes_are_named(tmp_path):
    [files] = written(tmp_path, [(8, 6)])
    save_mask(files.mask, ids(0, 8, 7))
    with pytest.raises(
        UserError, match=r"image .*0.png has 8x6 pixels, its mask .*0_mask.png 8x7; make the mask as lar"
    ):
        scan_masks([files], MaskFormat())
    with pytest.raises(UserError, match=r"0.png has 8x6 pixels, its mask .*0_mask.png 8x7"):
        decode_pair(files, MaskFormat())


def test_a_scan_counts_the_pixels_of_each_id(tmp_path):
    files = written(tmp_path, SIZES[:2])
    save_mask(files[1].mask, np.full((9, 5), 255, dtype=np.uint8))
    scan, errors = scan_masks(files, MaskFormat())
    values = ids(0)
    assert scan.highest == [2, -1]
    assert scan.total().tolist() == [int((values == k).sum()) for k in range(3)]
    assert errors == {}


def test_a_scan_finds_unreadable_masks_and_on_demand_images(tmp_path):
    files = written(tmp_path, SIZES)
    files[1].mask.write_bytes(b"broken")
    whole = files[2].image.read_bytes()
    files[2].image.write_bytes(whole[: len(whole) // 2])
    assert list(scan_masks(files, MaskFormat())[1]) == [1]
    assert sorted(scan_masks(files, MaskFormat(), whole=True)[1]) == [1, 2]
