import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfdistill.metrics.selective import aurc, selective_risk
from tests.helpers.metric_rows import any_logits, logits_and_labels


def by_loop(confidence, wrong):
    order = np.argsort(-confidence)
    return 100 * np.mean([wrong[order[:k]].mean() for k in range(1, len(order) + 1)])


def test_aurc_is_its_definition():
    logits, labels = logits_and_labels()
    shares = logits.double().softmax(1)
    wrong = (shares.argmax(1) != labels).double()
    want = by_loop(shares.amax(1).numpy(), wrong.numpy())
    found = selective_risk(logits, labels)
    assert found["aurc"] == pytest.approx(want)
    best = by_loop(-wrong.numpy(), wrong.numpy())
    assert found["aurc_excess"] == pytest.approx(want - best)
    assert 0 < found["aurc_excess"] < found["aurc"]


def test_by_hand():
    sure, wrong = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0.0, 1.0, 0.0, 1.0])
    assert aurc(sure, wrong) == pytest.approx(100 * (0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert aurc(sure, torch.ones(4)) == 100
    assert aurc(sure, torch.zeros(4)) == 0


def test_ties_are_the_mean_over_their_orders():
    wrong = torch.tensor([1.0, 0.0, 0.0])
    orders = [by_loop(np.array([3, 2, 1]), np.array(each)) for each in ([1, 0, 0], [0, 1, 0], [0, 0, 1])]
    assert aurc(torch.ones(3), wrong) == pytest.approx(np.mean(orders))


@settings(max_examples=60)
@given(any_logits(), st.randoms(use_true_random=False))
def test_a_perfect_order_is_the_least_and_rows_have_none(given_rows, random):
    logits, labels = given_rows
    order = random.sample(range(len(labels)), len(labels))
    found = selective_risk(logits, labels)
    assert found["aurc_excess"] >= -1e-9
    assert 0 <= found["aurc"] <= 100
    assert selective_risk(logits[order], labels[order]) == pytest.approx(found)


def test_a_perfect_order_has_no_excess():
    logits = torch.tensor([[5.0, 0], [4, 0], [3, 0], [2, 0], [1, 0]])
    found = selective_risk(logits, torch.tensor([0, 0, 0, 1, 1]))
    assert found["aurc_excess"] == pytest.approx(0)
    assert found["aurc"] == pytest.approx(100 * (1 / 4 + 2 / 5) / 5)
