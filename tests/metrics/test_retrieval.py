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
