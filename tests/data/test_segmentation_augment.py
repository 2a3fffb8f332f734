import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from torch.testing import assert_close

from selfdistill.data.masked_files import MaskedImage
from selfdistill.data.masked_images import MaskedImages, MaskedSplits, MaskedTensors
from selfdistill.data.segmentation_augment import (
    ScaleCropParams,
    SegmentationAugmentation,
    Window,
    crop_pair,
    default_segmentation_augmentation,
)
from selfdistill.errors import UserError

MEAN, STD = (0.2, 0.4, 0.6), (0.25, 0.2, 0.1)
FILL = torch.tensor([51, 102, 153], dtype=torch.uint8)


def pair(height=9, width=12, seed=0):
    draws = torch.Generator().manual_seed(seed)
    image = torch.randint(256, (3, height, width), generator=draws, dtype=torch.uint8)
    return MaskedImage(image, torch.randint(-1, 5, (height, width), generator=draws).short())


def params(scale=1.0, top=0.0, left=0.0, flipped=False):
    values = (torch.tensor([each], dtype=torch.float64) for each in (scale, top, left))
    return ScaleCropParams(*values, torch.tensor([flipped]))


def augmentation(crop=(6, 5), flip=True, **options):
    return SegmentationAugmentation(crop, flip, MEAN, STD, **options)


def whole_then_crop(pair, window, size):
    """Resize all of image and mask, pad, then crop: what the fast way must equal."""
    shrinks = window.height < pair.image.shape[1] or window.width < pair.image.shape[2]
    to = (window.height, window.width)
    image = F.interpolate(pair.image[None].double(), to, mode="bilinear", antialias=shrinks)[0]
    mask = F.interpolate(pair.mask[None, None].double(), to, mode="nearest-exact")[0, 0]
    edge = sum(size) + sum(map(abs, window[:4]))
    image = torch.stack([F.pad(each, (edge,) * 4, value=float(fill)) for each, fill in zip(image, FILL, strict=True)])
    mask = F.pad(mask, (edge,) * 4, value=-100)
    rows = slice(edge + window.top, edge + window.top + size[0])
    columns = slice(edge + window.left, edge + window.left + size[1])
    image, mask = image[:, rows, columns], mask[rows, columns]
    return (image.flip(2), mask.flip(1)) if window.flipped else (image, mask)


@given(
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.tuples(st.integers(-6, 10), st.integers(-6, 10)),
    st.booleans(),
)
def test_a_crop_is_the_crop_of_the_whole(size, resized, offset, flipped):
    given_pair, window = pair(*size), Window(*resized, *offset, flipped)
    image, mask = crop_pair(given_pair, window, (6, 5), FILL)
    want_image, want_mask = whole_then_crop(given_pair, window, (6, 5))
    assert_close(image.double(), want_image, atol=1.01, rtol=0)  # rounded to whole values
    assert mask.equal(want_mask.short())


def test_nothing_moves_at_its_own_size():
    one = pair(6, 5)
    image, mask = crop_pair(one, Window(6, 5, 0, 0), (6, 5), FILL)
    assert image.equal(one.image)
    assert mask.equal(one.mask)


def test_image_and_mask_move_together():
    values = torch.arange(108).view(9, 12)
    one = MaskedImage(values.expand(3, -1, -1).to(torch.uint8), values.short())
    for k in range(20):
        draw = augmentation(scales=(1.0, 1.0)).draw(20, torch.Generator().manual_seed(k))
        image, mask = augmentation(scales=(1.0, 1.0)).cropped(one, draw, k)
        assert image[0].equal(mask.to(torch.uint8))
        assert image.shape == (3, 6, 5)


@pytest.mark.parametrize("size", [(9, 12), (3, 4), (6, 5)])
def test_crops_are_drawn_from_all_places(size):
    """Offsets of a crop of 6x5 at scale 1: inside a larger image, around a smaller one."""
    draw = augmentation(scales=(1.0, 1.0)).draw(3000, torch.Generator().manual_seed(0))
    windows = [augmentation().window(size, draw, k) for k in range(3000)]
    for found, free in (({each.top for each in windows}, size[0] - 6), ({each.left for each in windows}, size[1] - 5)):
        assert found == set(range(min(free, 0), max(free, 0) + 1))


def test_scales_are_uniform_and_half_is_flipped():
    draw = augmentation().draw(4000, torch.Generator().manual_seed(1))
    assert kstest(draw.scale.numpy(), "uniform", args=(0.5, 1.5)).pvalue > 0.01
    assert 1850 < int(draw.flipped.sum()) < 2150
    assert not augmentation(flip=False).draw(100, torch.Generator().manual_seed(1)).flipped.any()
    sides = [augmentation().window((100, 200), draw, k)[:2] for k in range(4000)]
    assert min(sides)[0] >= 50
    assert max(sides)[0] <= 200
    assert all(abs(2 * height - width) <= 1 for height, width in sides)


def test_the_base_is_the_shorter_side_at_scale_one():
    based = augmentation(base=30)
    assert based.window((60, 90), params(), 0)[:2] == (30, 45)
    assert based.window((90, 60), params(2.0), 0)[:2] == (90, 60)
    assert based.resized(pair(60, 90).image).shape == (3, 30, 45)
    assert augmentation().resized(pair(7, 9).image).shape == (3, 7, 9)


def test_padding_is_the_mean_color_and_has_no_label():
    image, mask = augmentation((8, 8))([pair(2, 3)], params(1.0, 0.5, 0.5))
    outside = mask[0] == -100
    assert int(outside.sum()) >= 64 - 6
    assert_close(image[0][:, outside], torch.zeros(3, int(outside.sum())), atol=1e-6, rtol=0)


def test_a_batch_is_normalized_and_of_the_agreed_types():
    images, masks = augmentation()([pair(), pair(20, 7, 1)], ScaleCropParams(*(each.repeat(2) for each in params())))
    assert (images.shape, images.dtype) == ((2, 3, 6, 5), torch.float32)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert (masks.shape, masks.dtype) == ((2, 6, 5), torch.int64)
    want = (pair().image[:, :6, :5].double() / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[
        :, None, None
    ]
    assert_close(images[0].double(), want, atol=1e-5, rtol=0)
    assert masks[0].equal(pair().mask[:6, :5].long())


def test_a_row_does_not_depend_on_the_others():
    pairs = [pair(5 + k, 20 - k, k) for k in range(8)]
    draw = augmentation().draw(8, torch.Generator().manual_seed(3))
    images, masks = augmentation()(pairs, draw)
    for k in range(8):
        image, mask = augmentation()(pairs[k : k + 1], draw.rows(slice(k, k + 1)))
        assert image[0].equal(images[k])
        assert mask[0].equal(masks[k])


def test_the_default_takes_mean_and_flip_from_the_data():
    tensors = MaskedTensors(torch.stack([pair().image] * 3), torch.stack([pair().mask] * 3))
    splits = MaskedSplits(MaskedImages(tensors), None, MaskedImages(tensors), ("a", "b"), "noise", flip=False)
    found = default_segmentation_augmentation(splits, 8, base=16)
    assert (found.crop, found.flip, found.base, found.scales) == ((8, 8), False, 16, (0.5, 2.0))
    pixels = pair().image.double().flatten(1) / 255
    assert found.mean == pytest.approx(pixels.mean(dim=1).tolist())
    assert found.std == pytest.approx(pixels.std(dim=1, correction=0).tolist())
    assert default_segmentation_augmentation(splits, (4, 6)).crop == (4, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": (2.0, 0.5)}, r"a lowest and a highest factor above 0, such as \(0.5, 2.0\), but got \(2.0, 0.5\)"),
        ({"scales": (0.0, 1.0)}, r"factor above 0"),
        ({"crop": (0, 4)}, r"one pixel at least, but got \(0, 4\) and None"),
        ({"base": 0}, r"one pixel at least, but got \(6, 5\) and 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        augmentation(**options)
