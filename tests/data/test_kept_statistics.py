"""Mean and deviation of large sets: counted once, and again for other files or another choice of images."""

import pytest

from selfdistill.data import images, load
from tests.helpers.image_files import class_folders, save


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SELFDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(images, "STATISTICS", 4)
    return tmp_path / "cache" / "statistics"


@pytest.fixture
def root(tmp_path):
    return class_folders(tmp_path / "data", {"train/a": 3, "train/b": 3, "test/a": 1})


def read(root, **options):
    return load(f"folder:{root}", decode="stream", **options)


def test_they_are_counted_once(root, cache, monkeypatch):
    mean = read(root).mean
    assert len([*cache.iterdir()]) == 1
    with monkeypatch.context() as patched:
        patched.setattr(images, "channel_histogram", None)  # it would fail
        assert read(root).mean == mean
    monkeypatch.setenv("SELFDISTILL_CACHE", str(cache / "other"))
    assert read(root).mean == mean


@pytest.mark.parametrize("options", [{"size": 4}, {"limit": 5}], ids=["size", "choice"])
def test_another_choice_is_counted_again(root, cache, options):
    read(root).mean  # noqa: B018
    assert read(root, **options).mean != read(root).mean
    assert len([*cache.iterdir()]) == 2


def test_other_files_are_counted_again(root):
    before = read(root).mean
    save(root / "train/a/00.png", 99)
    assert read(root).mean != before


def test_those_of_small_sets_are_not_kept(root, cache):
    read(root, limit=4).mean  # noqa: B018
    assert not cache.exists()
