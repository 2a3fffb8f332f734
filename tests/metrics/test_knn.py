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
