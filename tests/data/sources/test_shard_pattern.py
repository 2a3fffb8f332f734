"""Patterns of shards: ranges, choices and wildcards, and what is missing of them."""

import pytest

from selfdistill.data.sources.shard_pattern import expand_braces, find_shards
from selfdistill.errors import UserError


@pytest.fixture
def root(tmp_path):
    for name in ("train-008.tar", "train-009.tar", "train-010.tar", "val-0.tar"):
        (tmp_path / name).touch()
    return tmp_path


def names(pattern):
    return [each.name for each in find_shards(str(pattern))]


def test_ranges_and_choices_multiply():
    assert [*expand_braces("{a,b}-{9..10}.tar")] == ["a-9.tar", "a-10.tar", "b-9.tar", "b-10.tar"]


def test_wildcards_and_ranges_are_in_order(root):
    assert names(root / "train-*.tar") == names(root / "train-{008..010}.tar")
    assert names(root / "{train-009,val-0}.tar") == ["train-009.tar", "val-0.tar"]


@pytest.mark.parametrize("braces", ["{3}", "{5..2}", "{0..a}", "{", "a}"])
def test_braces_without_a_meaning_are_refused(root, braces):
    with pytest.raises(UserError, match=r"cannot read .*a range \{000..003\}"):
        names(root / f"train-{braces}.tar")


def test_a_shard_missing_from_a_range_is_named(root):
    with pytest.raises(UserError, match=r"2 of the 5 shards of .* are missing: \S*train-011.tar, \S*train-012.tar; "):
        names(root / "train-{008..012}.tar")


def test_a_gap_between_the_files_of_a_wildcard_is_named(root):
    (root / "train-009.tar").unlink()
    with pytest.raises(UserError, match=r"1 shards are missing between train-008 and train-010 in .*as train-009;"):
        names(root / "train-*.tar")
    assert names(root / "train-{008,010}.tar") == ["train-008.tar", "train-010.tar"]


def test_nothing_found_and_folders_are_answered(root):
    with pytest.raises(UserError, match=r"no file matches '\S*test-\*.tar'; correct the pattern"):
        names(root / "test-*.tar")
    with pytest.raises(UserError, match=r"is a folder; name its shards, as .*it holds train-008.tar, train-009.tar"):
        names(root)
