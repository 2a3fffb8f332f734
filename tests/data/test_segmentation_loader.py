import os

import pytest
import torch

from selfdistill.data.load_segmentation import load_masks
from selfdistill.data.masked_images import MaskedImages, MaskedTensors
from selfdistill.data.segmentation_augment import SegmentationAugmentation
from selfdistill.data.segmentation_loader import SegmentationLoader, segmentation_batches
from selfdistill.errors import UserError
from tests.helpers.mask_files import save_pair

AUGMENT = SegmentationAugmentation((10, 12), True, (0.5,) * 3, (0.25,) * 3)


def tensors(count=13, height=9, width=14):
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, height, width), generator=draws, dtype=torch.uint8)
    return MaskedImages(MaskedTensors(images, torch.randint(4, (count, height, width), generator=draws).short()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten training images of several sizes."""
    root = tmp_path_factory.mktemp("masks")
    for split, count in (("train", 10), ("val", 3)):
        for k in range(count):
            folder = root / split
            save_pair(folder / f"images/{k}.png", folder / f"masks/{k}.png", k, 8 + k // 2, 20 - k // 2)
    return root


def steps(loader, epochs=2):
    return [(inputs, labels, index) for number in range(epochs) for inputs, labels, index, *_ in loader.epoch(number)]


def equal(some, others):
    assert len(some) == len(others)
    assert all(
        one.equal(other) for each, more in zip(some, others, strict=True) for one, other in zip(each, more, strict=True)
    )


def test_batches_are_crops_of_each_image_once_an_epoch():
    loader = SegmentationLoader(tensors(), 4, augment=AUGMENT)
    made = list(loader.epoch(0))
    assert len(made) == len(loader) == 3
    inputs, labels, *_ = made[0]
    assert (inputs.shape, inputs.dtype) == ((4, 3, 10, 12), torch.float32)
    assert (labels.shape, labels.dtype) == ((4, 10, 12), torch.int64)
    rows = torch.cat([each[2] for each in made])
    assert len(rows.unique()) == 12
    assert not rows.equal(torch.cat([each[2] for each in loader.epoch(1)]))


def test_a_crop_is_that_of_its_image_and_its_draw():
    loader = SegmentationLoader(tensors(), 4, augment=AUGMENT, seed=3)
    inputs, labels, index, *_ = list(loader.epoch(1))[2]
    draw = loader._params(1).rows(slice(8, 12))
    want, masks = AUGMENT([tensors()[row] for row in index.tolist()], draw)
    assert inputs.equal(want)
    assert labels.equal(masks)


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_share_the_batches_of_one_process(ranks):
    alone = steps(SegmentationLoader(tensors(), 8, augment=AUGMENT, drop_last=False))
    parts = [
        steps(SegmentationLoader(tensors(), 8, augment=AUGMENT, drop_last=False, rank=k, ranks=ranks))
        for k in range(ranks)
    ]
    together = [tuple(torch.cat(each) for each in zip(*rows, strict=True)) for rows in zip(*parts, strict=True)]
    whole = [each for each in zip(alone, together, strict=True) if len(each[0][2]) == 8]
    equal(*zip(*whole, strict=True))
    assert len(alone[1][2]) == 5
    assert len(together[1][2]) == 4


@pytest.mark.parametrize("threads", [1, 5])
def test_the_number_of_threads_changes_nothing(monkeypatch, threads):
    want = steps(SegmentationLoader(tensors(), 4, augment=AUGMENT))
    monkeypatch.setattr(os, "cpu_count", lambda: threads)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        equal(steps(SegmentationLoader(tensors(), 4, augment=AUGMENT)), want)
    finally:
        torch.set_num_threads(before)


def test_files_give_the_same_batches_decoded_ahead_or_on_access(folder):
    once, stream = (load_masks(f"masks:{folder}", decode=each).train for each in ("once", "stream"))
    stream.pairs.cache = 0
    equal(*(steps(SegmentationLoader(each, 4, augment=AUGMENT)) for each in (once, stream)))


def test_any_step_can_be_made_again():
    whole = steps(SegmentationLoader(tensors(), 4, augment=AUGMENT), epochs=2)
    later = SegmentationLoader(tensors(), 4, augment=AUGMENT)
    equal([tuple(each[:3]) for each in later.epoch(1, start=1)], whole[4:])
    assert list(later.epoch(1, start=3)) == []


def test_another_seed_gives_other_batches():
    one, other = (steps(SegmentationLoader(tensors(), 4, augment=AUGMENT, seed=k)) for k in (0, 1))
    assert not one[0][2].equal(other[0][2])


def test_few_images_are_one_batch():
    assert len(SegmentationLoader(tensors(3), 8, augment=AUGMENT)) == 1


def test_batches_that_cannot_be_split_are_refused():
    with pytest.raises(UserError, match=r"a batch of 5 cannot be split evenly over 2 process\(es\)"):
        SegmentationLoader(tensors(), 5, augment=AUGMENT, ranks=2)
    with pytest.raises(UserError, match=r"3 training images are too few for 4 processes; start fewer"):
        SegmentationLoader(tensors(3), 8, augment=AUGMENT, ranks=4)


def test_images_are_evaluated_whole_and_in_order(folder):
    train = load_masks(f"masks:{folder}").train
    made = list(segmentation_batches(train, 8, AUGMENT))
    assert [tuple(each[0].shape) for each in made] == [(2, 3, 20 - k, 8 + k) for k in range(5)]
    assert torch.cat([each[2] for each in made]).tolist() == list(range(10))
    for inputs, labels, index, *_ in made:
        for row, image, mask in zip(index.tolist(), inputs, labels, strict=True):
            assert mask.equal(train[row].mask.long())
            assert image.equal(AUGMENT.normalize(train[row].image[None])[0])


def test_equal_sizes_share_a_batch_up_to_its_size():
    assert [len(each[1]) for each in segmentation_batches(tensors(13), 5, AUGMENT)] == [5, 5, 3]


def test_resized_images_keep_the_masks_of_their_files():
    small = SegmentationAugmentation((4, 4), True, (0.5,) * 3, (0.25,) * 3, base=3)
    inputs, labels, *_ = next(segmentation_batches(tensors(2), 2, small))
    assert inputs.shape == (2, 3, 3, 5)
    assert labels.shape == (2, 9, 14)
