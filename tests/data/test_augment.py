import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from torch.testing import assert_close
from torchvision import transforms

from selfdistill.data import Augmentation, Images, Splits, default_augmentation
from selfdistill.data.augment import AugmentParams, crop, horizontal_flip
from selfdistill.data.augment_recipe import augment_recipe
from selfdistill.data.image_augment import ImageAugmentation

GREY = ((0.5,) * 3, (0.25,) * 3)


def noise(rows, height=6, width=6, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(1, 256, (rows, 3, height, width), generator=draws, dtype=torch.uint8)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7), st.integers(0, 3), st.data())
def test_each_crop_is_a_window_of_the_padded_image(rows, height, width, pad, data):
    images = noise(rows, height, width)
    offsets = st.lists(st.integers(0, 2 * pad), min_size=rows, max_size=rows)
    top, left = torch.tensor(data.draw(offsets)), torch.tensor(data.draw(offsets))
    cut = crop(images, top, left, pad)
    assert cut.shape == images.shape
    for b in range(rows):
        for y in range(height):
            for x in range(width):
                v, u = y + int(top[b]) - pad, x + int(left[b]) - pad
                inside = 0 <= v < height and 0 <= u < width
                expected = images[b, :, v, u] if inside else torch.zeros(3, dtype=torch.uint8)
                assert cut[b, :, y, x].equal(expected)


def test_the_middle_crop_is_the_image():
    images = noise(3)
    assert crop(images, torch.full((3,), 2), torch.full((3,), 2), 2).equal(images)


def test_only_the_drawn_images_are_mirrored():
    images = noise(2)
    seen = horizontal_flip(images, torch.tensor([True, False]))
    assert seen[0].equal(images[0].flip(2))
    assert seen[1].equal(images[1])
    assert not seen[0].equal(images[0])


def test_draws_cover_every_offset_and_half_the_flips():
    draw = Augmentation(2, True, *GREY).draw(2000, generator())
    assert set(draw.top.tolist()) == set(draw.left.tolist()) == {0, 1, 2, 3, 4}
    assert 900 < int(draw.flipped.sum()) < 1100
    assert not draw.top.equal(draw.left)


def test_a_source_that_must_not_be_mirrored_is_not():
    with_flip, without = Augmentation(2, True, *GREY), Augmentation(2, False, *GREY)
    one, other = with_flip.draw(50, generator()), without.draw(50, generator())
    assert not other.flipped.any()
    assert one.top.equal(other.top)
    assert one.left.equal(other.left)


def test_it_crops_mirrors_and_normalises_as_drawn():
    images = noise(2)
    draw = AugmentParams(torch.tensor([0, 2]), torch.tensor([1, 1]), torch.tensor([True, False]))
    seen = Augmentation(1, True, *GREY)(images, draw)
    padded = torch.zeros(2, 3, 8, 8)
    padded[:, :, 1:7, 1:7] = images / 255
    assert seen.dtype == torch.float32
    assert_close(seen[0], (padded[0, :, 0:6, 1:7].flip(2) - 0.5) / 0.25)
    assert_close(seen[1], (padded[1, :, 2:8, 1:7] - 0.5) / 0.25)


def test_normalised_training_images_have_mean_0_and_deviation_1():
    splits = Splits(Images(noise(40), torch.zeros(40)), None, Images(noise(2), torch.zeros(2)), ("a", "b"), "noise")
    seen = default_augmentation(splits).normalize(splits.train.images)
    assert_close(seen.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    assert_close(seen.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "pad"), [(32, 4), (64, 8), (8, 1), (7, 0)])
def test_padding_grows_with_the_size(size, pad):
    images = Images(noise(2, size, size), torch.tensor([0, 1]))
    assert default_augmentation(Splits(images, None, images, ("a", "b"), "noise")).pad == pad


def test_its_crops_and_mirrors_are_distributed_as_torchvisions():
    """Images of which each window differs, shown often by both; the windows' counts must not tell them apart."""
    shown, image = 20_000, torch.arange(1, 13, dtype=torch.uint8).view(1, 3, 2, 2)
    theirs_draw = transforms.Compose([transforms.RandomCrop(2, padding=1), transforms.RandomHorizontalFlip()])
    torch.manual_seed(0)
    theirs = [theirs_draw(image[0]) for _ in range(shown)]
    plain = Augmentation(1, True, (0.0,) * 3, (1 / 255,) * 3)
    ours = plain(image.expand(shown, -1, -1, -1), plain.draw(shown, generator(1))).to(torch.uint8)
    kinds, seen = torch.cat([torch.stack(theirs), ours]).flatten(1).unique(dim=0, return_inverse=True)
    assert len(kinds) == 18  # nine windows, each mirrored or not
    counts = torch.stack([torch.bincount(each, minlength=len(kinds)) for each in seen.split(shown)])
    assert chi2_contingency(counts.numpy()).pvalue > 0.01


def test_the_draws_of_an_image_do_not_depend_on_each_other():
    draw = Augmentation(1, True, *GREY).draw(20_000, generator())
    together = torch.bincount(draw.top * 6 + draw.left * 2 + draw.flipped, minlength=18)
    assert chi2_contingency(together.view(9, 2).numpy()).pvalue > 0.01
    assert chi2_contingency(together.view(3, 3, 2).sum(dim=2).numpy()).pvalue > 0.01


def test_a_recipe_decides_what_is_done():
    splits = Splits(Images(noise(4, 16, 16), torch.arange(4)), None, Images(noise(4), torch.arange(4)), (), "few")
    assert default_augmentation(splits) == default_augmentation(splits, augment_recipe("cifar"))
    made = default_augmentation(splits, augment_recipe("imagenet:trivialaugment", flip=False, jitter=0.4))
    assert (made.pad, made.flip) == (0, False)
    assert made.image == ImageAugmentation((0.08, 1.0), "trivialaugment", 0.4)
    assert default_augmentation(splits, augment_recipe("none")).image is None
