import pytest
import torch

from selfdistill.data.epoch_order import EpochOrder
from selfdistill.data.requirements import ClassGroups, Negatives, SameClassImage
from selfdistill.errors import UserError

LABELS = torch.arange(22) % 3


def test_each_epoch_holds_every_row_once_in_another_order():
    order = EpochOrder(22, 8, seed=1)
    first, second = order.rows(0), order.rows(1)
    assert first.sort().values.equal(torch.arange(22))
    assert second.sort().values.equal(torch.arange(22))
    assert not first.equal(second)
    assert EpochOrder(22, 8, seed=1).rows(1).equal(second)
    assert not EpochOrder(22, 8, seed=2).rows(1).equal(second)


@pytest.mark.parametrize(("drop_last", "steps"), [(True, 2), (False, 3)])
def test_ranks_part_a_step(drop_last, steps):
    whole = EpochOrder(22, 8, drop_last=drop_last)
    assert len(whole) == steps
    for step in range(steps):
        parts = [EpochOrder(22, 8, drop_last=drop_last, rank=k, ranks=2) for k in (0, 1)]
        rows = [each.rows(3)[each.slice(step)] for each in parts]
        assert torch.cat(rows).equal(whole.rows(3)[whole.slice(step)])


def test_steps_before_and_ahead():
    order = EpochOrder(22, 8)
    assert [order.previous(*each) for each in ((0, 0), (0, 1), (2, 0))] == [(0, 0), (0, 0), (1, 1)]
    assert [*order.ahead(4, 1, 3)] == [(4, 1), (5, 0), (5, 1)]


def test_rows_of_the_same_and_of_other_classes():
    order = EpochOrder(22, 8, labels=LABELS, needs={"peer": SameClassImage(itself=False), "negatives": Negatives(2)})
    rows, peers = order.rows(0), order.peers(0, False)
    assert LABELS[peers].equal(LABELS[rows])
    assert (peers != rows).all()
    negatives = order.negatives(0, 1, 2)
    assert (LABELS[negatives] != LABELS[rows[order.slice(1)]][:, None]).all()
    assert order.negatives(0, 1, 2).equal(negatives)


def test_groups_of_a_class_follow_one_another():
    order = EpochOrder(22, 8, labels=LABELS, needs={"order": ClassGroups(1)})
    pairs = LABELS[order.rows(0)].view(-1, 2)
    assert pairs[:, 0].equal(pairs[:, 1])


def test_pairs_need_classes():
    with pytest.raises(UserError, match="pairs examples of one class, but these have tags or pixels; use another"):
        EpochOrder(22, 8, needs={"order": ClassGroups(1)})
    with pytest.raises(UserError, match="groups of 3 images do not fill a batch of 8 rows; use a --batch-size that is"):
        EpochOrder(22, 8, labels=LABELS, needs={"order": ClassGroups(2)})


def test_a_balanced_order_has_every_class_equally_often():
    labels = torch.tensor([0] * 16 + [1] * 4 + [2] * 2)
    order = EpochOrder(22, 8, labels=labels, balanced=True, seed=3)
    first, second = order.rows(0), order.rows(1)
    for rows in (first, second):
        assert sorted(torch.bincount(labels[rows]).tolist()) == [7, 7, 8]
        often = torch.bincount(rows, minlength=22)
        assert often[:16].max() == 1  # a large class gives a part of its rows
        assert set(often[16:20].tolist()) <= {1, 2}  # of a small class each, equally often within one
        assert set(often[20:].tolist()) <= {3, 4}
    assert not first.equal(second)
    assert EpochOrder(22, 8, labels=labels, balanced=True, seed=3).rows(1).equal(second)
    parts = [EpochOrder(22, 8, labels=labels, balanced=True, seed=3, rank=k, ranks=2) for k in (0, 1)]
    assert torch.cat([each.rows(0)[each.slice(1)] for each in parts]).equal(first[order.slice(1)])


def test_a_balanced_order_of_more_classes_than_rows():
    order = EpochOrder(4, 4, labels=torch.arange(4), balanced=True)
    assert order.rows(0).sort().values.equal(torch.arange(4))
