import pickle
import urllib.error

import numpy as np
import pytest
import torch
import torchvision

from selfdistill.data import load
from selfdistill.data.sources import torchvision as source
from selfdistill.errors import UserError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SELFDISTILL_DATA", str(tmp_path))
    return tmp_path


def cifar10_files(root):
    """CIFAR-10's own layout with two images a file: rows of 3072 numbers, channel after channel."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3072), dtype=np.uint8)
    labels = [*range(10), 4, 9]
    for k, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        part = {"data": pixels[2 * k : 2 * k + 2], "labels": labels[2 * k : 2 * k + 2]}
        (folder / name).write_bytes(pickle.dumps(part))
    names = {"label_names": [f"kind {k}" for k in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))
    return pixels, labels


def test_cifar10_is_read_from_its_files(root, monkeypatch):
    pixels, labels = cifar10_files(root)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    splits = load("cifar10")
    assert splits.classes[3] == "kind 3"
    assert splits.train.labels.tolist() == labels[:10]
    assert np.array_equal(splits.train.images.numpy(), pixels[:10].reshape(10, 3, 32, 32))
    assert np.array_equal(splits.test.images.numpy(), pixels[10:].reshape(2, 3, 32, 32))
    assert splits.flip
    assert load("cifar10", size=16).train.images.shape == (10, 3, 16, 16)


class Svhn:
    """Stands in for torchvision's, with its attributes."""

    def __init__(self, root, split, download):
        assert download
        self.data = np.full((20, 3, 32, 32), 9 if split == "train" else 7, np.uint8)
        self.labels = np.arange(20) % 10


class Fashion:
    classes = ("Shirt", "Coat")

    def __init__(self, root, train, download):
        self.data = torch.arange(2 * 28 * 28).view(2, 28, 28).to(torch.uint8)
        self.targets = torch.tensor([1, 0])


def test_svhn_has_ten_digits_that_are_not_mirrored(root, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "SVHN", Svhn)
    splits = load("svhn")
    assert splits.classes == tuple("0123456789")
    assert not splits.flip
    assert (splits.train.images == 9).all()
    assert (splits.test.images == 7).all()
    few = load("svhn", limit=10).train
    assert len(few.images) == 10
    assert sorted(few.labels.tolist()) == list(range(10))


def test_grey_images_get_three_channels(root, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", Fashion)
    splits = load("fashion-mnist")
    assert splits.classes == Fashion.classes
    assert splits.train.images.shape == (2, 3, 28, 28)
    assert splits.train.images[:, 2].equal(Fashion(None, True, True).data)
    assert splits.train.labels.tolist() == [1, 0]


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("File not found or corrupted.")])
def test_a_failed_download_says_where_the_files_go(root, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torchvision.datasets, "CIFAR100", fail)
    with pytest.raises(UserError, match=rf"cannot download cifar100: .*into '{root}' by hand, or set SELFDISTILL_DATA"):
        load("cifar100")


def test_downloads_go_to_the_cache_by_default(monkeypatch):
    monkeypatch.delenv("SELFDISTILL_DATA", raising=False)
    assert source.data_folder().parts[-3:] == (".cache", "selfdistill", "data")
    assert source.data_folder().is_absolute()


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_, **__):
        raise urllib.error.URLError("no route")

    for module, name in (("cifar", "download_and_extract_archive"), ("mnist", "download_and_extract_archive")):
        monkeypatch.setattr(getattr(torchvision.datasets, module), name, fail)
    monkeypatch.setattr(torchvision.datasets.svhn, "download_url", fail)


@pytest.mark.usefixtures("no_network")
def test_a_damaged_file_is_named(root):
    cifar10_files(root)
    for k in range(2, 6):
        (root / "cifar-10-batches-py" / f"data_batch_{k}").unlink()
    with pytest.raises(
        UserError, match=r"cifar-10-batches-py/data_batch_1, .* are damaged \(not the checksum of cifar10"
    ):
        load("cifar10")
    (root / "test_32x32.mat").write_bytes(b"cut short")
    with pytest.raises(
        UserError, match=rf"^test_32x32.mat in '{root}' is damaged .* again failed: .*no route.*whole files"
    ):
        load("svhn")


@pytest.mark.usefixtures("no_network")
def test_a_file_that_no_checksum_guards_is_named_as_unreadable(root):
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte").write_bytes(b"cut short")
    with pytest.raises(
        UserError, match=rf"the files of fashion-mnist in '{root}' cannot be read: \w+: .*; remove them"
    ):
        load("fashion-mnist")


@pytest.mark.usefixtures("no_network")
def test_a_missing_file_is_no_damaged_one(root):
    with pytest.raises(UserError, match=r"cannot download fashion-mnist: .*into '"):
        load("fashion-mnist")


@pytest.mark.parametrize("damage", [b"", b"not a pickle", pickle.dumps([1, 2]), pickle.dumps({"data": 1})])
def test_a_pickle_that_cannot_be_read_is_no_failed_download(root, monkeypatch, damage):
    cifar10_files(root)
    (root / "cifar-10-batches-py" / "data_batch_2").write_bytes(damage)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.utils, "check_integrity", lambda *_: True)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    with pytest.raises(UserError, match=r"the files of cifar10 in .* cannot be read: \w+: .*; remove them"):
        load("cifar10")


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 2], [0, -1]])
def test_images_and_labels_belong_together(root, monkeypatch, labels):
    monkeypatch.setattr(
        Fashion,
        "__init__",
        lambda self, root, train, download: vars(self).update(
            data=torch.zeros(2, 28, 28, dtype=torch.uint8), targets=torch.tensor(labels if not train else [1, 0])
        ),
    )
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", Fashion)
    with pytest.raises(
        UserError, match=r"hold 2 images, \d labels up to \d and 2 classes, which do not belong together"
    ):
        load("fashion-mnist")
