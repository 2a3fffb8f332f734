import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from selfdistill.metrics.knn import knn
from tests.helpers.metric_rows import embeddings_and_labels


@pytest.mark.parametrize("neighbours", [1, 5, 20])
def test_knn_is_scikit_learns(neighbours):
    embeddings, labels = embeddings_and_labels(700)
    known, asked = slice(0, 90), slice(90, 700)
    other = KNeighborsClassifier(neighbours, metric="cosine", weights=lambda distance: np.exp(-distance / 0.07))
    other.fit(embeddings[known].numpy(), labels[known].numpy())
    want = 100 * other.score(embeddings[asked].numpy(), labels[asked].numpy())
    found = knn(embeddings[asked], labels[asked], embeddings[known], labels[known], neighbours=neighbours)
    assert found == pytest.approx(want)
    assert 30 < want < 100


def test_fewer_training_images_than_neighbours():
    known = torch.tensor([[1.0, 0], [0, 1]])
    asked, labels = torch.tensor([[2.0, 1], [1, 9], [3, 2]]), torch.tensor([3, 1, 1])
    assert knn(asked, labels, known, torch.tensor([3, 1])) == pytest.approx(200 / 3)


@pytest.mark.parametrize("neighbours", [1, 5, 20])
def test_the_order_of_equal_embeddings_has_no_effect(neighbours):
    draws = torch.Generator().manual_seed(0)
    points = torch.randn(6, 33, generator=draws)
    known, labels = points[torch.arange(90) % 6], torch.randint(3, (90,), generator=draws)
    asked, wanted = points.repeat(3, 1) + 1e-3, torch.randint(3, (18,), generator=draws)
    orders = [torch.randperm(90, generator=draws) for _ in range(8)]
    found = {knn(asked, wanted, known[order], labels[order], neighbours=neighbours) for order in orders}
    assert len(found) == 1
    turned = {
        knn(asked[order], wanted[order], known, labels, neighbours=neighbours) for order in [torch.arange(18).flip(0)]
    }
    assert turned == found


def test_images_equally_far_share_the_votes():
    known = torch.tensor([[1.0, 0], [0.8, 0.6], [0.8, -0.6], [0.8, 0.6], [0.8, -0.6]])
    asked = torch.tensor([[1.0, 0]])
    for labels, guess in (([1, 0, 0, 0, 0], 1), ([2, 0, 1, 1, 1], 2)):  # one vote of 1, and two of exp(-0.2 / 0.07)
        votes = [torch.tensor(labels)[order] for order in (torch.arange(5), torch.tensor([0, 4, 3, 2, 1]))]
        assert {knn(asked, torch.tensor([guess]), known, each, neighbours=3) for each in votes} == {100.0}
    level = torch.tensor([[0.8, 0.6]] * 4)
    for labels in ([0, 1, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]):  # one voter of four, shared: three quarters for class 1
        assert knn(asked, torch.tensor([1]), level, torch.tensor(labels), neighbours=1) == 100


def test_equal_votes_go_to_the_first_class():
    known, asked = torch.tensor([[1.0, 0], [1.0, 0]]), torch.tensor([[1.0, 0]])
    for labels in ([0, 1], [1, 0]):
        assert knn(asked, torch.tensor([0]), known, torch.tensor(labels)) == 100
