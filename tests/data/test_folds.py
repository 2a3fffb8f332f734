"""Folds of cross-validation: a partition, stratified, in whole groups, the same for all seeds."""

import pytest
import torch

from selfdistill.data import Fold, load, load_tensors
from selfdistill.data.folds import draw_fold
from selfdistill.data.subsets import draw_test
from selfdistill.errors import UserError
from tests.helpers.image_files import class_folders

LABELS = torch.tensor([0] * 20 + [1] * 10 + [2] * 5)


def parts(labels, folds, groups=None):
    return [draw_test(labels, Fold(k, folds), groups) for k in range(folds)]


def test_folds_are_a_stratified_partition():
    made = parts(LABELS, 5)
    assert torch.cat([test for _, test in made]).sort().values.tolist() == list(range(35))
    for train, test in made:
        assert torch.cat([train, test]).sort().values.tolist() == list(range(35))
        assert LABELS[test].bincount().tolist() == [4, 2, 1]


def test_groups_stay_whole_and_every_class_is_in_every_fold():
    groups = torch.arange(60) // 3  # 20 groups of 3 rows
    labels = (groups % 2).long()
    made = parts(labels, 4, groups)
    assert torch.cat([test for _, test in made]).sort().values.tolist() == list(range(60))
    for train, test in made:
        assert not set(groups[train].tolist()) & set(groups[test].tolist())
        assert (labels[test].bincount(minlength=2) > 0).all()


def test_tags_and_pixels_are_dealt_evenly():
    for labels in (torch.zeros(11, 3), torch.zeros(11, 4, 4)):
        assert sorted(len(test) for _, test in parts(labels, 3)) == [3, 4, 4]


@pytest.mark.parametrize(
    ("labels", "groups", "words"),
    [
        (LABELS, None, r"the smallest of 3 classes has 5 rows, fewer than the 6 folds; pass --folds 5 at most, or add"),
        ([0, 0, 0, 1], None, r"the smallest of 2 classes has 1 row, fewer than the 6 folds; add some, or remove the"),
        (LABELS, LABELS * 2, r"the smallest of 3 classes has 1 group, fewer than the 6 folds; add some"),
        (torch.zeros(4, 2), None, r"the data have 4 rows, fewer than the 6 folds; pass --folds 4 at most"),
    ],
)
def test_too_few_rows_or_groups(labels, groups, words):
    with pytest.raises(UserError, match=words):
        draw_fold(torch.as_tensor(labels), Fold(0, 6), groups)


def test_folds_are_drawn_before_the_limit_and_without_the_seed():
    first, other = (
        load("digits", test=Fold(1, 5), seed=seed, limit=limit, validation=share, on_note=lambda _: None)
        for seed, limit, share in ((0, None, 0.0), (3, 100, 0.2))
    )
    assert torch.equal(first.test.images, other.test.images)
    assert (len(other.train), len(other.validation), len(first.train)) == (80, 20, 1797 - 360)
    tested = {each.numpy().tobytes() for each in first.test.images}
    assert not tested & {each.numpy().tobytes() for part in (other.train, other.validation) for each in part.images}


def test_class_folders_have_folds(tmp_path):
    root, notes = class_folders(tmp_path, {"ant": 15, "cat": 5}), []
    splits = [load(f"folder:{root}", test=Fold(k, 5), on_note=notes.append) for k in range(5)]
    assert len({each.numpy().tobytes() for part in splits for each in part.test.images}) == 20
    assert notes[1] == f"4 of the 20 images of '{root}', fold 1 of 5, are the test set"


def test_a_table_has_folds_of_whole_groups(tmp_path):
    class_folders(tmp_path, {"images": 24})
    names = sorted(each.name for each in (tmp_path / "images").iterdir())
    lines = [f"images/{name},{'ab'[k // 3 % 2]},g{k // 3}" for k, name in enumerate(names)]
    (tmp_path / "rows.csv").write_text("\n".join(["path,label,patient", *lines]) + "\n")
    notes = []
    splits = load(f"csv:{tmp_path / 'rows.csv'}?group=patient", test=Fold(0, 4), on_note=notes.append)
    assert splits.test.labels.bincount().tolist() == [3, 3]
    assert any("6 of the 24 rows, in whole groups, fold 0 of 4, are the test set" in each for each in notes)


def test_data_with_a_test_part_have_no_folds(tmp_path):
    root = class_folders(tmp_path, {f"{split}/{name}": 2 for split in ("train", "test") for name in "ab"})
    for spec, words in (
        (f"folder:{root}", "has test images, so there is nothing to draw; leave out --folds"),
        ("fake", "fake has its own test part, so --folds has nothing to draw"),
    ):
        with pytest.raises(UserError, match=words):
            load(spec, test=Fold(0, 2))


def test_arrays_have_folds(tmp_path):
    import numpy as np

    np.savez(tmp_path / "a.npz", inputs=np.random.rand(20, 4).astype("float32"), labels=np.arange(20) % 2)
    notes = []
    splits = load_tensors(f"tensors:{tmp_path / 'a.npz'}", test=Fold(2, 5), on_note=notes.append)
    assert (len(splits.train), splits.test.labels.bincount().tolist()) == (16, [2, 2])
    assert "fold 2 of 5, are the test set" in notes[-1]
