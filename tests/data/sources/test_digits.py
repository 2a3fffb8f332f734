import torch
from sklearn.datasets import load_digits

from selfdistill.data import load


def test_the_pixels_are_scikit_learns():
    splits = load("digits")
    found = {image.numpy().tobytes() for image in torch.cat([splits.train.images, splits.test.images])[:, 0]}
    expected = {(image * 255 / 16).round().astype("uint8").tobytes() for image in load_digits().images}
    assert found == expected
    assert splits.train.images[:, 0].equal(splits.train.images[:, 2])
    assert (splits.train.images.amin(), splits.train.images.amax()) == (0, 255)


def test_a_stratified_fifth_is_the_test_set():
    splits = load("digits")
    assert (len(splits.train), len(splits.test)) == (1438, 359)
    shares = torch.bincount(splits.test.labels) / torch.bincount(splits.train.labels)
    assert ((shares - 0.25).abs() < 0.01).all()


def test_the_test_images_do_not_follow_the_seed():
    one, other = load("digits", seed=0, limit=100), load("digits", seed=7, limit=100)
    assert one.test.images.equal(other.test.images)
    assert not one.train.images.equal(other.train.images)


def test_digits_keep_their_side_and_take_a_size():
    splits = load("digits", size=16)
    assert not splits.flip
    assert splits.train.images.shape == (1438, 3, 16, 16)
    halved = torch.nn.functional.avg_pool2d(splits.train.images.float(), 2)
    assert (halved - load("digits").train.images).abs().mean() < 20
