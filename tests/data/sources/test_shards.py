"""Files of splits by their names."""

import os

import pytest

from selfdistill.data.sources.shards import find_splits
from selfdistill.errors import UserError


def touch(root, *names):
    """Write files of different content."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def found(root):
    return {split: [str(each.relative_to(root)) for each in files] for split, files in find_splits(root).splits.items()}


@pytest.mark.parametrize(
    "train",
    [
        ["train.parquet"],
        ["Train.parquet"],
        ["training-0.parquet", "training-1.parquet"],
        ["train_1.parquet", "train_2.parquet"],
        ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"],
        ["train-00001-of-00002.parquet", "train-00002-of-00002.parquet"],
        [f"train-0000{k}-of-00002-{k:016x}.parquet" for k in range(2)],
        ["data/train-00000-of-00001.parquet"],
        ["train/0000.parquet", "train/0001.parquet"],
        ["train/train-00000-of-00001.parquet"],
        ["train-20240101.parquet", "train-20240301.parquet"],
    ],
)
def test_whole_sets_are_found(tmp_path, train):
    touch(tmp_path, *train, "test.parquet")
    assert found(tmp_path) == {"train": train, "test": ["test.parquet"]}


def test_files_are_in_the_order_of_their_numbers(tmp_path):
    names = [f"train-{k}.parquet" for k in range(12)]
    touch(tmp_path, *names, "val.parquet")
    assert found(tmp_path) == {"train": names, "validation": ["val.parquet"]}


def test_a_file_is_read_once_though_a_link_leads_to_it(tmp_path):
    touch(tmp_path, "train.parquet", "test.parquet")
    (tmp_path / "data").symlink_to(tmp_path)
    os.symlink(tmp_path / "test.parquet", tmp_path / "testing.parquet")
    assert found(tmp_path) == {"train": ["train.parquet"], "test": ["test.parquet"]}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([0, 2], "1 of 3 files of the train split are missing from '.*': train-00001-of-00003.parquet; fetch"),
        ([2], "2 of 3 .*: train-00000-of-00003.parquet, train-00001-of-00003.parquet; fetch"),
        ([1, 2], "1 of 3 .*: train-00000-of-00003.parquet; fetch"),
        ([1, 3], "1 of 3 .*: train-00002-of-00003.parquet; fetch"),
        ([0, 1, 2, 3], "train-00003-of-00003.parquet in '.*' is numbered beyond the 3 files of its set"),
    ],
)
def test_a_missing_file_is_named(tmp_path, train, message):
    touch(tmp_path, *(f"train-{k:05}-of-00003.parquet" for k in train), "test.parquet")
    with pytest.raises(UserError, match=message):
        find_splits(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train-0.parquet", "train-2.parquet"], "1 of 3 .*missing from '.*': train-1.parquet; fetch"),
        (["train/0002.parquet", "train/0003.parquet"], "3 files|4 files.*: 0001.parquet; fetch"),
        (
            ["train-00000-of-00002-0123456789abcdef.parquet"],
            "1 of 2 .*: train-00001-of-00002.parquet; fetch",
        ),
        (
            ["train-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"],
            "train-00000-of-00001.parquet and data/train-00000-of-00001.parquet are the same part of the data",
        ),
        (
            ["train-00000-of-00001-0123456789abcdef.parquet", "train-00000-of-00001-fedcba9876543210.parquet"],
            "are the same part of the data",
        ),
        (
            ["train-00000-of-00001.parquet", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"],
            "train-00000-of-00001.parquet and train-00000-of-00002.parquet are parts of two sets of files",
        ),
        (["train.parquet", "train-00000-of-00001.parquet"], "are parts of two sets"),
        (["train.parquet", "training.parquet"], "are parts of two sets"),
        (["train.parquet", "data/train-0.parquet"], "are parts of two sets"),
    ],
)
def test_gaps_doubles_and_mixed_sets_are_named(tmp_path, names, message):
    touch(tmp_path, *names, "test.parquet")
    with pytest.raises(UserError, match=message):
        find_splits(tmp_path)


def test_one_part_fetched_twice_is_named(tmp_path):
    for name in ("train-0.parquet", "train-1.parquet", "test.parquet"):
        (tmp_path / name).write_text("the same")
    with pytest.raises(UserError, match=r"train-0.parquet and train-1.parquet have the same content; fetch one"):
        find_splits(tmp_path)


def test_what_belongs_to_no_split_is_told(tmp_path):
    touch(
        tmp_path, "train.parquet", "test.parquet", "train-clean-00000-of-00001.parquet", "extra.parquet", "b/c.parquet"
    )
    (note,) = find_splits(tmp_path).notes
    assert note.startswith("left out 3 files (3 .parquet) of")
    assert "belong to no split: extra.parquet, train-clean-00000-of-00001.parquet, b/c.parquet" in note


def test_a_folder_of_several_parts_names_one_of_them(tmp_path):
    touch(tmp_path, "plain_text/train-00000-of-00001.parquet", "plain_text/test-00000-of-00001.parquet")
    with pytest.raises(UserError, match=r"each in its own folder, such as parquet:.*plain_text"):
        find_splits(tmp_path)


def test_a_file_in_place_of_its_folder_is_told(tmp_path):
    touch(tmp_path, "train.parquet")
    with pytest.raises(UserError, match=r"'.*train.parquet' is a file; pass its folder: parquet:PATH holds"):
        find_splits(tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"there is no folder '.*x'; parquet:PATH"):
        find_splits(tmp_path / "x")
    with pytest.raises(UserError, match="File name too long"):
        find_splits(tmp_path / ("x" * 300))
