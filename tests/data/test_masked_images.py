import dataclasses

import pytest
import torch

from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.load_segmentation import load_masks
from selfdistill.data.masked_images import MaskedImages, MaskedSplits, MaskedTensors
from tests.helpers.mask_files import pairs


def tensors(count=5, seed=0):
    draws = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, 4, 6), generator=draws, dtype=torch.uint8)
    return MaskedImages(MaskedTensors(images, torch.randint(3, (count, 4, 6), generator=draws).short()))


@pytest.fixture(params=["tensors", "files"])
def images(request, tmp_path):
    if request.param == "tensors":
        return tensors()
    return load_masks(f"masks:{pairs(tmp_path, {'train': 5, 'val': 1})}", decode="stream").train


def test_rows_are_images_with_masks_of_their_size(images):
    assert len(images) == 5
    for image, mask in (images[k] for k in range(5)):
        assert (image.dtype, mask.dtype) == (torch.uint8, torch.int16)
        assert image.shape[1:] == mask.shape
    assert images.sizes.tolist() == [list(images[k].mask.shape) for k in range(5)]


def test_rows_are_selected_in_order(images):
    chosen = images.rows(torch.tensor([3, 1]))
    assert len(chosen) == len(chosen.sizes) == 2
    assert chosen[0].image.equal(images[3].image)
    assert chosen[1].mask.equal(images[1].mask)


def test_blocks_hold_each_index_once(images):
    assert [block.tolist() for block in images.index_blocks(2)] == [[0, 1], [2, 3], [4]]


def splits(train, test):
    return MaskedSplits(train, None, test, ("a", "b", "c"), "noise")


def test_mean_and_deviation_are_those_of_the_training_pixels(images):
    found = splits(images, tensors(2, seed=1))
    pixels = torch.stack([images[k].image for k in range(5)]).double() / 255
    assert found.mean == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist())
    assert found.std == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist())


def test_a_fingerprint_tells_other_pixels_and_other_masks():
    first = splits(tensors(), tensors(2, seed=1))
    pixels, masks = first.train.pairs
    changed = masks.clone()
    changed[0, 0, 0] = -100
    others = [MaskedImages(MaskedTensors(255 - pixels, masks)), MaskedImages(MaskedTensors(pixels, changed))]
    found = [fingerprint(each) for each in (first, *(splits(other, first.test) for other in others))]
    assert len({each["digest"] for each in found}) == 3
    assert found[0]["count"] == 7
    assert fingerprint(splits(tensors(), tensors(2, seed=1))) == found[0]


def test_the_fingerprint_of_files_is_that_of_their_folder(tmp_path):
    loaded = load_masks(f"masks:{pairs(tmp_path, {'train': 2, 'val': 1})}")
    assert fingerprint(loaded) == fingerprint(loaded.name) == loaded.fingerprint
    assert fingerprint(dataclasses.replace(loaded, fingerprint=None)) != loaded.fingerprint
