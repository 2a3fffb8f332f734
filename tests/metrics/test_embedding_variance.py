import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfdistill.metrics.embedding_variance import class_variance, variances
from tests.helpers.metric_rows import embeddings_and_labels


def by_loop(embeddings, labels):
    points, names = embeddings.double().numpy(), labels.numpy()
    means = {k: points[names == k].mean(0) for k in set(names.tolist())}
    intra = np.mean([((row - means[k]) ** 2).sum() for row, k in zip(points, names.tolist(), strict=True)])
    inter = np.mean([((means[k] - points.mean(0)) ** 2).sum() for k in names.tolist()])
    return intra, inter


def test_variances_are_their_definitions():
    embeddings, labels = embeddings_and_labels()
    labels[labels == 2] = 7  # a class that has no images must not count
    found = class_variance(embeddings, labels)
    intra, inter = by_loop(embeddings, labels)
    assert (found["intra"], found["inter"], found["ratio"]) == pytest.approx((intra, inter, intra / inter))
    intra, inter = by_loop(embeddings / embeddings.norm(dim=1, keepdim=True), labels)
    assert (found["intra_normalised"], found["inter_normalised"]) == pytest.approx((intra, inter), rel=1e-5)


def test_by_hand():
    embeddings = torch.tensor([[0.0, 1], [0, 3], [4, 1], [4, 3]])
    assert variances(embeddings, torch.tensor([0, 0, 1, 1])) == {"intra": 1, "inter": 4, "ratio": 0.25}
    assert variances(embeddings, torch.tensor([0, 1, 1, 0])) == {"intra": 5, "inter": 0, "ratio": None}


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_they_sum_to_the_variance_and_the_normalised_know_no_scale(seed, scale):
    embeddings, labels = embeddings_and_labels(seed=seed)
    found, scaled = class_variance(embeddings, labels), class_variance(embeddings * scale, labels)
    total = embeddings.double().var(dim=0, correction=0).sum().item()
    assert found["intra"] + found["inter"] == pytest.approx(total)
    assert scaled["intra"] == pytest.approx(scale**2 * found["intra"], rel=1e-5)
    assert scaled["ratio"] == pytest.approx(found["ratio"], rel=1e-5)
    assert scaled["inter_normalised"] == pytest.approx(found["inter_normalised"], rel=1e-5)
