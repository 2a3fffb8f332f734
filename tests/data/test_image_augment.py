import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms
from torchvision.transforms.v2 import functional as V

from selfdistill.data.image_augment import ImageAugmentation, draw_box, draw_erased, stream


def picture(height=24, width=24):
    draws = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, height, width), generator=draws, dtype=torch.uint8)


def test_a_crop_is_torchvisions_at_the_drawn_box():
    augment = ImageAugmentation((0.08, 1.0))
    box = augment.box(24, 24, 5)
    wanted = V.resized_crop(picture(), *box, size=[24, 24], interpolation=InterpolationMode.BICUBIC, antialias=True)
    assert augment(picture(), 5).equal(wanted)
    assert not wanted.equal(picture())


def test_crops_are_distributed_as_torchvisions():
    torch.manual_seed(0)
    theirs = transforms.RandomResizedCrop(8, scale=(0.08, 1.0))
    wanted = torch.tensor([list(theirs.make_params([picture(60, 80)]).values())[:4] for _ in range(3000)]).float()
    found = torch.tensor([draw_box(60, 80, (0.08, 1.0), stream(key, "crop")) for key in range(3000)]).float()
    assert (found.mean(0) - wanted.mean(0)).abs().max() < 1.5
    assert (found.std(0) - wanted.std(0)).abs().max() < 1.5


def test_the_center_is_taken_where_no_crop_fits():
    assert draw_box(10, 100, (1.0, 1.0), stream(0, "crop")) == (0, 43, 10, 13)


def test_a_part_changes_no_draws_of_another():
    crop, both = ImageAugmentation((0.08, 1.0)), ImageAugmentation((0.08, 1.0), "randaugment", jitter=0.4)
    assert both.recolor(crop(picture(), 3), 24, 24, 3).equal(both(picture(), 3))


def test_jitter_changes_colors_and_no_places():
    flat = torch.full((3, 6, 6), 100, dtype=torch.uint8)
    seen = torch.stack([ImageAugmentation(jitter=0.5)(flat, key) for key in range(40)])
    assert (seen == seen[..., :1, :1]).all()
    assert 45 <= seen.min() < 75 < 125 < seen.max() <= 155


def test_erasing_sets_rectangles_of_a_share_of_the_images_to_zero():
    images = torch.ones(400, 3, 20, 20)
    ImageAugmentation(erase=0.25).erase_(images, torch.arange(400))
    erased = (images == 0).flatten(1).float().mean(1)
    assert 70 < int((erased > 0).sum()) < 130
    assert erased.max() < 0.36


@pytest.mark.parametrize("key", range(20))
def test_an_erased_rectangle_lies_inside(key):
    top, left, height, width = draw_erased(12, 30, stream(key, "erase"))
    assert top + height <= 12
    assert left + width <= 30
