"""Fingerprints: equal for equal files, another for each kind of change."""

import os
from dataclasses import replace

import pytest
import torch

from selfdistill.data import fingerprint as module
from selfdistill.data import load
from selfdistill.data.fingerprint import fingerprint


@pytest.fixture
def root(tmp_path):
    for name in ("train/a/0.png", "train/b/0.png", "test/a/1.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(name.encode())
    return tmp_path / "images"


def add(root):
    (root / "train/a/9.png").write_bytes(b"new")


def relabel(root):
    (root / "train/a/0.png").rename(root / "train/b/7.png")


def overwrite(root):
    (root / "train/a/0.png").write_bytes(b"train/a/1.png")  # the same size


def remove(root):
    (root / "test/a/1.png").unlink()


def link(root):
    other = root.parent / "other"
    other.mkdir()
    (other / "5.png").write_bytes(b"linked")
    (root / "train/c").symlink_to(other)


@pytest.mark.parametrize("change", [add, relabel, overwrite, remove, link])
def test_a_change_is_seen(root, change):
    before = fingerprint(f"folder:{root}")
    change(root)
    assert fingerprint(f"folder:{root}") != before


def touch(root):
    os.utime(root / "train/a/0.png", (1, 1))


def hide(root):
    (root / ".DS_Store").write_bytes(b"x")


def loop(root):
    (root / "train/a/loop").symlink_to(root)


@pytest.mark.parametrize("change", [touch, hide, loop])
def test_what_is_no_change_of_the_data(root, change):
    before = fingerprint(f"folder:{root}")
    change(root)
    assert fingerprint(f"folder:{root}") == before


def test_of_large_data_the_times_stand_for_the_contents(root, monkeypatch):
    monkeypatch.setattr(module, "CONTENT", 10)
    before = fingerprint(f"folder:{root}")
    touch(root)
    assert fingerprint(f"folder:{root}")["digest"] != before["digest"]


def test_count_and_bytes(root):
    found = fingerprint(f"parquet:{root}?label=x")
    assert (found["count"], found["bytes"]) == (3, 13 + 13 + 12)


@pytest.mark.parametrize("spec", ["digits", "fake", "cifar10", "folder:/nowhere", "hub:a/b"])
def test_nothing_to_look_at(spec):
    assert fingerprint(spec) is None


def test_images_in_memory():
    splits = load("digits", limit=50)
    labels = splits.train.labels.flip(0)
    assert fingerprint(splits) == fingerprint(load("digits", limit=50))
    assert fingerprint(splits) != fingerprint(replace(splits, train=replace(splits.train, labels=labels)))
    other = torch.zeros_like(splits.test.images)
    assert fingerprint(splits) != fingerprint(replace(splits, test=replace(splits.test, images=other)))
