import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from selfdistill.data.subsets import class_quotas, complement, split_validation, stratified
from selfdistill.errors import UserError

counts = st.lists(st.integers(1, 40), min_size=2, max_size=8)


def labelled(sizes, seed=0):
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


@given(counts, st.floats(0, 1), st.integers(0, 5))
def test_a_stratified_few_keeps_every_class_and_its_share(sizes, part, seed):
    labels = labelled(sizes, seed)
    count = max(len(sizes), round(part * len(labels)))
    chosen = stratified(labels, count, seed)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == count
    got = torch.bincount(labels[chosen], minlength=len(sizes))
    exact = torch.tensor(sizes) * count / len(labels)
    assert (got >= 1).all()
    assert ((got - exact < 1) | (got == 1)).all()  # never a whole row more than its share
    if (exact >= 1).all():
        assert (exact - got < 1).all()


@given(counts, st.integers(2, 300))
def test_quotas_share_out_exactly_what_there_is(sizes, count):
    assume(len(sizes) <= count <= sum(sizes))
    rows = class_quotas(torch.tensor(sizes), count)
    assert rows.sum() == count
    assert (rows >= 1).all()
    assert (rows <= torch.tensor(sizes)).all()


def test_classes_too_small_for_a_row_take_it_from_the_largest():
    assert class_quotas(torch.tensor([100, 1, 1, 1]), 5).tolist() == [2, 1, 1, 1]


@given(counts, st.floats(0.01, 0.9), st.integers(0, 5))
def test_the_held_out_part_and_the_rest_are_the_whole(sizes, share, seed):
    labels = labelled(sizes, seed)
    held = max(round(share * len(labels)), 1)
    assume(len(labels) - held >= len(sizes))
    kept, rest = split_validation(labels, share, seed)
    assert sorted(kept.tolist() + rest.tolist()) == list(range(len(labels)))
    assert len(rest) == held
    assert set(labels[kept].tolist()) == set(range(len(sizes)))


def test_equal_classes_are_held_out_equally():
    labels = labelled([20] * 5)
    _, held = split_validation(labels, 0.25, 0)
    assert torch.bincount(labels[held]).tolist() == [5] * 5


def test_the_seed_decides():
    labels = labelled([50, 50])
    assert stratified(labels, 10, 1).equal(stratified(labels, 10, 1))
    assert not stratified(labels, 10, 1).equal(stratified(labels, 10, 2))


def test_a_limit_below_the_classes_is_refused():
    with pytest.raises(UserError, match=r"2 training images cannot hold one of each of 3 classes; take 3 or more"):
        stratified(labelled([5, 5, 5]), 2, 0)


def test_more_than_there_are_means_all():
    assert stratified(labelled([3, 4]), 100, 0).tolist() == list(range(7))


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5])
def test_a_validation_share_is_a_share(share):
    with pytest.raises(UserError, match=f"between 0 and 1, but is {share}"):
        split_validation(labelled([5, 5]), share, 0)


def test_others_are_what_was_not_chosen():
    assert complement(torch.tensor([1, 3]), 5).tolist() == [0, 2, 4]
