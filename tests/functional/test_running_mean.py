import torch
from torch.testing import assert_close

from selfdistill.functional import class_sums, update_centers
from tests.helpers.random_features import tokens


def test_a_class_first_met_takes_its_mean():
    embedding, labels = tokens(0, 7, 3), torch.tensor([0, 1, 1, 2, 2, 2, 0])
    centers, met = update_centers(
        (torch.zeros(4, 3).double(), torch.zeros(4, 1).double()), class_sums(embedding, labels, 4), rate=0.5
    )
    for k in labels.unique():
        assert_close(centers[k], embedding[labels == k].mean(dim=0))
        assert met[k] == (labels == k).sum()


def test_a_class_not_met_stays():
    embedding, labels = tokens(0, 7, 3), torch.tensor([0, 1, 1, 2, 2, 2, 0])
    before = tokens(1, 4, 3), torch.ones(4, 1).double()
    centers, met = update_centers(before, class_sums(embedding, torch.zeros_like(labels), 4), rate=0.5)
    assert torch.equal(centers[1:], before[0][1:])
    assert torch.equal(met[1:], before[1][1:])
