"""Indices of large folders: kept until a file or a folder is added, removed or renamed."""

import os

import numpy as np
import pytest

from selfdistill.data import fingerprint as fingerprint_module
from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.kept_index import Keeping, index_folder, kept_index
from selfdistill.data.sources.class_files import files_by_class
from tests.helpers.image_files import class_folders, save

ALL = Keeping(files=0, age=0)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SELFDISTILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    return class_folders(tmp_path / "data", {"a": 2, "b/inner": 1})


class Counted:
    """An index that counts how often it was made."""

    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return {"count": np.array(3), "made": np.array(self.made)}


def add(root):
    save(root / "a" / "new.png")


def remove(root):
    (root / "a" / "00.png").unlink()


def rename(root):
    (root / "a" / "00.png").rename(root / "a" / "x.png")


def rename_folder(root):
    (root / "b" / "inner").rename(root / "b" / "other")


def add_folder(root):
    (root / "b" / "inner" / "empty").mkdir()


def remove_folder(root):
    (root / "b" / "inner" / "00.png").unlink()
    (root / "b" / "inner").rmdir()


@pytest.mark.parametrize("change", [add, remove, rename, rename_folder, add_folder, remove_folder])
def test_a_change_is_noticed(root, change):
    make = Counted()
    kept_index("x", root, make, ALL)
    assert int(kept_index("x", root, make, ALL)["made"]) == 1
    change(root)
    assert int(kept_index("x", root, make, ALL)["made"]) == 2


def test_a_restored_time_stamp_does_not_hide_a_change(root):
    make = Counted()
    kept_index("x", root, make, ALL)
    before = (root / "a").stat()
    add(root)
    os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    kept_index("x", root, make, ALL)
    assert make.made == 2


@pytest.mark.parametrize("keep", [Keeping(files=4, age=0), Keeping(files=0, age=60)], ids=["few files", "just changed"])
def test_what_is_not_kept(root, keep):
    make = Counted()
    kept_index("x", root, make, keep)
    kept_index("x", root, make, keep)
    assert make.made == 2


def test_kinds_and_folders_are_kept_apart(root):
    make = Counted()
    for kind, folder in (("x", root), ("y", root), ("x", root / "a")):
        kept_index(kind, folder, make, ALL)
    assert make.made == 3


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"noise"])
def test_a_damaged_index_is_made_again(root, content):
    make = Counted()
    kept_index("x", root, make, ALL)
    for each in index_folder().iterdir():
        each.write_bytes(content)
    kept_index("x", root, make, ALL)
    assert make.made == 2


def test_a_cache_that_cannot_be_written_is_no_error(root, cache):
    cache.touch()
    assert int(kept_index("x", root, Counted(), ALL)["made"]) == 1


@pytest.mark.parametrize("level", ["top", "leaf"])
def test_kept_class_files_are_those_of_the_folder(root, level):
    (root / "a" / "notes.txt").touch()
    save(root / "loose.png")
    (root / "empty").mkdir()
    fresh = files_by_class(root, level)
    files_by_class(root, level, ALL)
    kept = files_by_class(root, level, ALL)
    assert {name: [*files] for name, files in kept.classes.items()} == {
        name: [*files] for name, files in fresh.classes.items()
    }
    assert [*kept.classes] == [*fresh.classes]
    assert [*kept.left_out] == [root / "a" / "notes.txt"]
    assert [*kept.unlabelled] == [root / "loose.png"]


def test_class_files_are_listed_once(root, monkeypatch):
    first = files_by_class(root, "top", ALL)
    monkeypatch.setattr("selfdistill.data.sources.class_files.find_images", None)  # it would fail
    assert [*files_by_class(root, "top", ALL).classes["a"]] == [*first.classes["a"]]
    add(root)
    with pytest.raises(TypeError):
        files_by_class(root, "top", ALL)


def test_the_fingerprint_is_kept_until_a_folder_changes(root, monkeypatch):
    spec = f"folder:{root}"
    first = fingerprint(spec, ALL)
    assert fingerprint(spec) == first
    with monkeypatch.context() as patched:
        patched.setattr(fingerprint_module, "files_below", None)  # it would fail
        assert fingerprint(spec, ALL) == first
    add(root)
    assert fingerprint(spec, ALL) == fingerprint(spec) != first
