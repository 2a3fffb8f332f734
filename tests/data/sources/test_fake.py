import pytest

from selfdistill.data import load
from selfdistill.errors import UserError


def test_it_is_the_same_every_time_and_as_asked():
    spec = "fake:classes=3,size=8,train=12,test=6"
    splits = load(spec)
    assert splits.train.images.equal(load(spec, seed=5).train.images)
    assert splits.train.images.shape == (12, 3, 8, 8)
    assert len(splits.test) == 6
    assert splits.classes == ("class 0", "class 1", "class 2")
    assert not splits.train.images[:6].equal(splits.test.images)


@pytest.mark.parametrize("part", ["colour=3", "size", "train=-1", "test=0", "classes=x"])
def test_what_it_cannot_read_it_names(part):
    with pytest.raises(UserError, match=f"cannot read '{part}' of fake:size=8,{part}; write fake:classes=10"):
        load(f"fake:size=8,{part}")


def test_a_class_without_an_image_is_refused():
    with pytest.raises(UserError, match=r"5 of 10 classes in fake:train=5 have no training image \(class 5, "):
        load("fake:train=5")
