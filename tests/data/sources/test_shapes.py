from functools import partial

import pytest
import torch

from selfdistill.data import load
from selfdistill.data.load_segmentation import load_masks
from selfdistill.data.shape_pictures import CLASSES, SHAPES
from selfdistill.data.sources import task_of
from selfdistill.errors import UserError

tagged = partial(load, task="tag")
SMALL = "size=24,train=40,test=10"


def test_masks_are_the_same_every_time_and_as_asked():
    splits, again = load_masks(f"shapes:segment,{SMALL}"), load_masks(f"shapes:segment,{SMALL}", seed=5)
    assert splits.train.pairs.images.equal(again.train.pairs.images)
    assert splits.train[0].image.shape == (3, 24, 24)
    assert (len(splits.train), splits.validation, len(splits.test)) == (40, None, 10)
    assert splits.classes == CLASSES
    assert splits.fingerprint is None
    assert not splits.train.pairs.images[:10].equal(splits.test.pairs.images)


def test_tags_say_which_shapes_of_the_masks_are_seen():
    tags, masks = tagged(f"shapes:tag,{SMALL}"), load_masks(f"shapes:segment,{SMALL}")
    assert tags.classes == SHAPES
    assert tags.train.images.equal(masks.train.pairs.images)
    assert tags.train.labels.shape == (40, 7)
    assert tags.train.labels.dtype == torch.float32
    for mask, found in zip(masks.train.pairs.masks, tags.train.labels, strict=True):
        seen = {k for k in range(7) if int((mask == k + 1).sum()) >= 24 * 24 / 200}
        assert seen == set(found.nonzero().flatten().tolist())


def test_tags_are_limited_and_split_by_the_seed():
    splits = tagged(f"shapes:tag,{SMALL}", limit=30, validation=0.2, seed=1)
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [24, 6, 10]
    assert splits.train.labels.shape == (24, 7)
    assert tagged(f"shapes:tag,{SMALL}", limit=30, validation=0.2, seed=1).train.images.equal(splits.train.images)
    assert not tagged(f"shapes:tag,{SMALL}", limit=30, validation=0.2, seed=2).train.images.equal(splits.train.images)


def test_a_side_of_tagged_pictures_may_be_asked_for():
    assert tagged("shapes:tag,train=60,test=5", size=16).train.size == 16


def test_the_first_word_is_the_task():
    assert [task_of(f"shapes:{each}") for each in ("segment", "tag", "tag,size=8")] == ["segment", "tag", "tag"]
    usage = r"write shapes:segment\|tag\[,size=64,train=1000,test=300\]"
    for argument, word in ((",size=8", ""), ("size=8", "size=8"), ("masks", "masks")):
        with pytest.raises(UserError, match=rf"cannot read '{word}' of shapes:{argument}; {usage}"):
            load(f"shapes:{argument}")
    with pytest.raises(UserError, match=r"shapes needs an argument: shapes:segment\|tag"):
        load("shapes")


@pytest.mark.parametrize("part", ["colour=3", "size", "train=-1", "test=0"])
def test_what_it_cannot_read_it_names(part):
    message = rf"cannot read '{part}' of shapes:segment,size=8,{part}; write shapes:segment,size=64,train=1000,test=300"
    with pytest.raises(UserError, match=message):
        load_masks(f"shapes:segment,size=8,{part}")


def test_each_task_has_a_function():
    with pytest.raises(UserError, match=r"shapes:segment has a class for each pixel.*load it with sd.data.load_masks"):
        load("shapes:segment")
    with pytest.raises(
        UserError, match=r"shapes:tag has no masks; sources with a class for each pixel are masks:PATH, s"
    ):
        load_masks("shapes:tag")
    with pytest.raises(UserError, match=r"shapes:tag has tags, not one class for each image; load .*task='tag'"):
        load("shapes:tag")
    with pytest.raises(UserError, match=r"digits has one class for each image, not tags; load it without task='tag'"):
        tagged("digits")


def test_a_tag_without_a_picture_and_noise_are_refused():
    with pytest.raises(UserError, match=r"of 7 tags in shapes:tag,size=8,train=1 have no training image"):
        tagged("shapes:tag,size=8,train=1")
    with pytest.raises(UserError, match=r"label noise takes another class for an image, but these images have tags"):
        tagged(f"shapes:tag,{SMALL}", label_noise=0.1)
