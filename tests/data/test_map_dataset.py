"""Items and labels of data sets of a custom loop."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, Subset, TensorDataset, random_split

from selfdistill.data.map_dataset import known_labels, labels_of, read_item
from selfdistill.errors import UserError

IMAGE = torch.zeros(3, 2, 2)


class Listed:
    """A data set with lists of labels, whose items cannot be read."""

    def __init__(self, count, **lists):
        self.count = count
        vars(self).update(lists)

    def __len__(self):
        return self.count

    def __getitem__(self, row):
        raise OSError("a broken image")


@pytest.mark.parametrize(
    "label", [2, 2.0, np.int64(2), np.uint8(2), np.array([2]), torch.tensor(2), torch.tensor([[2.0]]), np.float32(2)]
)
def test_class_ids_of_many_kinds(label):
    assert read_item([(IMAGE, label)], 0)[1] == 2
    assert labels_of([(IMAGE, label)]).tolist() == [2]


def test_a_class_of_two_may_be_true_or_false():
    assert labels_of([(IMAGE, True), (IMAGE, False)]).tolist() == [1, 0]
    assert known_labels(Listed(2, targets=[False, True])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("cat", r"item 0 .* a label of kind str \('cat'\), but a class id.*number the classes"),
        (None, r"a label of kind NoneType \(None\)"),
        (1.5, r"a label of kind float \(1.5\)"),
        (float("nan"), r"a label of kind float \(nan\)"),
        (torch.tensor([0.0, 1.0]), r"a label of kind Tensor \(of shape \[2\]\)"),
        ({"id": 3}, r"a label of kind dict"),
        (2**64 - 1, r"has the label 18446744073709551615, which no tensor can hold"),
        (np.uint64(2**64 - 1), r"has the label 18446744073709551615, which no tensor can hold"),
    ],
)
def test_other_labels_are_named(label, message):
    with pytest.raises(UserError, match=message):
        read_item([(IMAGE, label)], 0)
    with pytest.raises(UserError, match=message):
        labels_of([(IMAGE, label)])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"image": IMAGE, "label": 1}, r"item 0 .* is a dict with 'image', 'label', but a tuple \(image, class id\)"),
        ({"pixel_values": IMAGE}, r"is a dict with 'pixel_values', but"),
        ({}, r"is a dict with no keys, but"),
        ((IMAGE, 1, 7), r"is a tuple of 3, but"),
        ([IMAGE], r"is a list of 1, but"),
        (IMAGE, r"is a Tensor, but"),
        ("ab", r"is a str, but"),
        (None, r"is a NoneType, but"),
    ],
)
def test_items_of_another_kind_are_named_as_they_are(item, message):
    with pytest.raises(UserError, match=message):
        read_item([item], 0)


def test_a_named_tuple_is_a_tuple():
    assert read_item([namedtuple("Item", "image label")(IMAGE, 3)], 0)[1] == 3


def test_labels_are_read_off_what_a_data_set_is_made_of():
    part = Listed(4, targets=[3, 1, 2, 0])
    both = ConcatDataset([part, Subset(Listed(3, labels=np.array([5, 6, 7])), [2, 0])])
    assert labels_of(both).tolist() == [3, 1, 2, 0, 7, 5]
    first, second = random_split(both, [2, 4], torch.Generator().manual_seed(0))
    assert sorted(labels_of(first).tolist() + labels_of(second).tolist()) == [0, 1, 2, 3, 5, 7]
    assert labels_of(TensorDataset(torch.zeros(2, 3), torch.tensor([4, 9]))).tolist() == [4, 9]


@pytest.mark.parametrize(
    "listed",
    [
        ["cat", "dog"],
        [0.5, 1.0],
        [[0], [0, 1]],
        torch.eye(2),
        [1],
        None,
        7,
        np.array([0, 2**64 - 1], dtype=np.uint64),
    ],
)
def test_lists_of_another_kind_are_no_labels(listed):
    assert known_labels(Listed(2, targets=listed)) is None


def test_a_target_transform_belongs_to_the_labels():
    assert known_labels(Listed(2, targets=["cat", "dog"], target_transform=["dog", "cat"].index)).tolist() == [1, 0]
    assert known_labels(Listed(2, targets=["cat", "cow"], target_transform=["dog", "cat"].index)) is None


def test_a_subset_that_relabels_is_read_by_its_items():
    class Relabelled(Subset):
        def __getitem__(self, row):
            return IMAGE, 1

        def __getitems__(self, rows):
            return [self[row] for row in rows]

    assert labels_of(Relabelled(Listed(3, targets=[0, 0, 0]), [0, 1])).tolist() == [1, 1]


def test_pairs_need_labels():
    with pytest.raises(UserError, match=r"item 1 .* has the label -1, but pairs within a class .*Subset"):
        labels_of(Listed(3, targets=[0, -1, 1]))
