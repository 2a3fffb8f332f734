"""Images that stay files until they are asked for are shown as those that were decoded first."""

import sys

import pytest
import torch

from selfdistill.data import Loader, default_augmentation, load
from selfdistill.data import images as images_module
from selfdistill.data import lazy as module
from selfdistill.data.decode import decode_one
from selfdistill.data.lazy import LazyImages
from selfdistill.data.requirements import ExtraAugmentation, PreviousBatch, SameClassImage
from selfdistill.data.train_loader import batches
from selfdistill.errors import UserError
from selfdistill.metrics.accuracy import evaluate
from selfdistill.models import create
from selfdistill.train.run import run
from tests.helpers import image_files as pictures
from tests.helpers.image_files import class_folders
from tests.helpers.small_runs import Interrupted, StopAfter, log, small, untimed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("images"), {"train/a": 13, "train/b": 14, "test/a": 5, "test/b": 4})


def both(folder, **options):
    return [load(f"folder:{folder}", decode=decode, **options) for decode in ("once", "stream")]


def same(one, other):
    assert one.inputs.equal(other.inputs)
    assert one.labels.equal(other.labels)
    assert one.index.equal(other.index)
    assert one.extra.keys() == other.extra.keys()
    assert all(one.extra[name].equal(other.extra[name]) for name in one.extra)


@pytest.mark.parametrize("options", [{}, {"size": 5}, {"limit": 10, "seed": 3}, {"validation": 0.3}])
def test_splits_are_the_same_image_by_image(folder, options):
    once, stream = both(folder, **options)
    assert isinstance(stream.train.images, LazyImages)
    assert isinstance(once.train.images, torch.Tensor)
    assert (stream.mean, stream.std) == (once.mean, once.std)
    for one, other in ((once.train, stream.train), (once.validation, stream.validation), (once.test, stream.test)):
        if one is None:
            assert other is None
            continue
        assert (other.size, len(other), other.images.shape) == (one.size, len(one), one.images.shape)
        assert other.labels.equal(one.labels)
        assert other.images[:].equal(one.images)
        assert other[2][0].equal(one[2][0])
        assert other.images[torch.tensor([3, 0, 3])].equal(one.images[torch.tensor([3, 0, 3])])


@pytest.mark.parametrize(
    "needs",
    [
        {},
        {"peer": SameClassImage()},
        {"twin": ExtraAugmentation(more=2), "peer": SameClassImage(itself=False)},
        {"last": PreviousBatch()},
    ],
)
@pytest.mark.parametrize("start", [0, 2])
def test_batches_are_the_same(folder, needs, start):
    loaders = [Loader(each.train, 8, augment=default_augmentation(each), needs=needs, seed=4) for each in both(folder)]
    for epoch in (0, 1):
        steps = [list(each.epoch(epoch, start=start)) for each in loaders]
        assert len(steps[0]) == 3 - start
        for one, other in zip(*steps, strict=True):
            same(one, other)


def test_ranks_share_out_the_same_batches(folder):
    once, stream = both(folder)
    for rank in (0, 1):
        parts = [
            Loader(each.train, 8, augment=default_augmentation(each), rank=rank, ranks=2) for each in (once, stream)
        ]
        for one, other in zip(parts[0].epoch(0), parts[1].epoch(0), strict=True):
            same(one, other)


def test_evaluation_is_the_same(folder):
    once, stream = both(folder)
    for one, other in zip(
        batches(once.test, 4, default_augmentation(once)),
        batches(stream.test, 4, default_augmentation(stream)),
        strict=True,
    ):
        same(one, other)
    model = create("resnet8", 2, size=8)
    assert evaluate(model, once.test, default_augmentation(once)) == evaluate(
        model, stream.test, default_augmentation(stream)
    )


def test_runs_are_bitwise_the_same_and_taken_up_by_either(folder, tmp_path):
    config = small("cs_kd()", data=f"folder:{folder}", limit=None, batch_size=8, epochs=3)
    streaming = small("cs_kd()", data=f"folder:{folder}", limit=None, batch_size=8, epochs=3, decode="stream")
    results = [run(each, tmp_path / each.decode) for each in (config, streaming)]
    assert untimed(results[0]) == untimed(results[1])
    assert log(tmp_path / "auto") == log(tmp_path / "stream")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "changed", listener=StopAfter(1))
    assert untimed(run(streaming, tmp_path / "changed", resume=True)) == untimed(results[0])


def test_it_streams_by_itself_where_half_of_the_free_memory_is_too_little(folder, monkeypatch):
    needed = (13 + 14 + 5 + 4) * 3 * 8 * 8
    for free, kind in ((2 * needed, torch.Tensor), (2 * needed - 1, LazyImages)):
        monkeypatch.setattr(sys.modules["selfdistill.data.load_dataset"], "free_memory", lambda free=free: free)
        assert isinstance(load(f"folder:{folder}").train.images, kind)


def test_an_image_is_decoded_once_however_often_it_is_asked_for_soon(folder, monkeypatch):
    decoded = []
    monkeypatch.setattr(module, "decode_one", lambda *asked: decoded.append(asked[1]) or decode_one(*asked))
    stream = both(folder)[1].train
    stream.images.prefetch(torch.tensor([4, 5]))
    stream.images[torch.tensor([5, 4, 4])]
    stream.images[torch.tensor([5, 6])]
    assert sorted(decoded) == [4, 5, 6]


def test_few_decoded_images_are_kept(folder, monkeypatch):
    monkeypatch.setattr(module, "CACHE", 3 * 8 * 8 * 2)
    once, stream = both(folder)
    for rows in (torch.arange(27), torch.arange(27).flip(0)):
        assert stream.train.images[rows].equal(once.train.images[rows])
        assert len(stream.train.images._pending) == 2
    stream.train.images.prefetch(torch.arange(20))
    assert len(stream.train.images._pending) <= 8 * 20


def test_what_is_coming_is_being_decoded(folder):
    stream = both(folder)[1].train
    next(Loader(stream, 8, augment=default_augmentation(both(folder)[0])).epoch(0))
    assert len(stream.images._pending) == 24  # the first batch and the two after it


def test_more_images_than_are_counted_give_the_same_mean_either_way(folder, monkeypatch):
    whole = both(folder)[0].mean
    monkeypatch.setattr(images_module, "STATISTICS", 9)
    once, stream = both(folder)
    assert once.mean == stream.mean != whole
    rows = [26 * k // 8 for k in range(9)]  # from the first to the last
    assert once.mean == pytest.approx((once.train.images[rows].double().mean(dim=(0, 2, 3)) / 255).tolist())


def test_a_broken_image_is_named_when_its_turn_comes(folder, tmp_path):
    root = class_folders(tmp_path, {"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    whole = load(f"folder:{root}", decode="stream", size=8)
    (root / "train" / "b" / "01.png").write_bytes(b"no image")
    assert whole.train.images[:3].shape == (3, 3, 8, 8)
    with pytest.raises(UserError, match=r"cannot read the image .*train/b/01.png: .*; repair or remove it"):
        whole.train.images[:]


def test_sizes_that_differ_are_found_before_the_first_step(folder, tmp_path):
    root = class_folders(tmp_path, {"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    pictures.save(root / "train" / "b" / "02.png", size=9)
    with pytest.raises(UserError, match=r"train/a/00.png has 8x8 pixels, .*train/b/02.png 9x9; pass --size"):
        load(f"folder:{root}", decode="stream")
    (root / "train" / "b" / "02.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cannot read the image .*train/b/02.png: it has no known image format"):
        load(f"folder:{root}", decode="stream")
    assert load(f"folder:{root}", decode="stream", size=4).train.size == 4
