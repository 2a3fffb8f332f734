import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from selfdistill.metrics import retrieval
from selfdistill.metrics.retrieval import recall_at_1
from tests.helpers.metric_rows import embeddings_and_labels


@pytest.mark.parametrize("rows", [512, 17])
def test_recall_is_scikit_learns_whatever_the_block(rows, monkeypatch):
    monkeypatch.setattr(retrieval, "ROWS", rows)
    embeddings, labels = embeddings_and_labels()
    found = NearestNeighbors(n_neighbors=2, metric="cosine").fit(embeddings.numpy())
    nearest = found.kneighbors(embeddings.numpy(), return_distance=False)[:, 1]  # the first is the row itself
    want = 100 * (labels.numpy()[nearest] == labels.numpy()).mean()
    assert recall_at_1(embeddings, labels) == pytest.approx(want)
    assert 30 < want < 100


def test_by_hand():
    embeddings = torch.tensor([[1.0, 0], [9, 1], [0, 1], [1, 4], [-1, -1]])  # length plays no part
    assert recall_at_1(embeddings, torch.tensor([0, 0, 1, 1, 2])) == 100  # who is alone is left out
    assert recall_at_1(embeddings, torch.tensor([0, 1, 0, 1, 2])) == 0
    assert recall_at_1(embeddings, torch.arange(5)) is None


@pytest.mark.parametrize("rows", [512, 7])
def test_the_order_of_equal_embeddings_has_no_effect(rows, monkeypatch):
    monkeypatch.setattr(retrieval, "ROWS", rows)
    draws = torch.Generator().manual_seed(0)
    points = torch.randn(6, 33, generator=draws)
    embeddings, labels = points[torch.arange(90) % 6], torch.randint(3, (90,), generator=draws)
    embeddings = embeddings * (1 + torch.arange(90)[:, None] % 3)  # length plays no part
    orders = [torch.randperm(90, generator=draws) for _ in range(8)]
    found = {round(recall_at_1(embeddings[order], labels[order]), 9) for order in orders}
    assert found == {round(share_by_loop(torch.arange(90) % 6, labels), 9)}


def share_by_loop(place, labels):
    """Share of the same class among the other rows of the same place, mean over rows."""
    shares = []
    for i in range(len(labels)):
        others = [j for j in range(len(labels)) if j != i and place[j] == place[i]]
        shares.append(sum(int(labels[j] == labels[i]) for j in others) / len(others))
    return 100 * sum(shares) / len(shares)


def test_a_collapsed_network_has_the_recall_of_chance():
    labels = torch.tensor([0, 0, 0, 1, 1])
    want = 100 * (3 * 2 / 4 + 2 * 1 / 4) / 5
    for embeddings in (torch.zeros(5, 3), torch.ones(5, 3), 1e-30 * torch.ones(5, 3), 1e38 * torch.ones(5, 3)):
        assert recall_at_1(embeddings, labels) == pytest.approx(want)


def test_close_embeddings_are_no_ties():
    angles = torch.tensor([0.0, 1e-4, 2.5e-4], dtype=torch.float64)  # cosines that differ by 1e-8
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert recall_at_1(embeddings, torch.tensor([0, 0, 1])) == 100
    assert recall_at_1(embeddings, torch.tensor([0, 1, 0])) == 0
