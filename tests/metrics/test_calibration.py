import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from selfdistill.metrics.calibration import adaptive_calibration_error, brier, calibration, calibration_error
from tests.helpers.metric_rows import any_logits, logits_and_labels


def by_loop(logits, labels, bins=15):
    """Adaptive ECE from its definition."""
    shares = logits.double().softmax(1).numpy()
    sure, right = shares.max(1), shares.argmax(1) == labels.numpy()
    parts = np.array_split(np.argsort(sure), bins)
    return 100 * sum(abs(sure[part].mean() - right[part].mean()) * len(part) / len(sure) for part in parts if len(part))


@pytest.mark.parametrize("rows", [200, 203, 7])
def test_adaptive_error_is_its_definition(rows):
    logits, labels = logits_and_labels(rows)
    assert adaptive_calibration_error(logits, labels) == pytest.approx(by_loop(logits, labels))


def test_brier_is_scikit_learns():
    logits, labels = logits_and_labels()
    shares = logits.double().softmax(dim=1).numpy()
    want = brier_score_loss(labels.numpy(), shares, labels=range(8), scale_by_half=False)
    assert brier(logits, labels) == pytest.approx(want)


def test_by_hand():
    logits = torch.tensor([[math.log(4.0), 0.0]] * 5)  # 0.8 sure, right four times of five: as honest as can be
    labels = torch.tensor([0, 0, 1, 0, 0])
    found = calibration(logits, labels)
    assert found["ece"] == pytest.approx(0, abs=1e-4)
    assert found["adaptive_ece"] == pytest.approx(0, abs=1e-4)
    assert found["brier"] == pytest.approx((4 * 2 * 0.2**2 + 2 * 0.8**2) / 5)
    wrong = calibration(logits, 1 - torch.zeros(5).long())
    assert wrong["ece"] == pytest.approx(80, rel=1e-4)
    assert wrong["adaptive_ece"] == pytest.approx(80, rel=1e-6)
    assert wrong["brier"] == pytest.approx(2 * 0.8**2)


@settings(max_examples=60)
@given(any_logits(), st.randoms(use_true_random=False))
def test_ranges_and_the_order_of_rows(given_rows, random):
    logits, labels = given_rows
    order = random.sample(range(len(labels)), len(labels))
    found, shuffled = calibration(logits, labels), calibration(logits[order], labels[order])
    assert 0 <= found["ece"] <= 100.001
    assert 0 <= found["adaptive_ece"] <= 100
    assert 0 <= found["brier"] <= 2
    assert shuffled == pytest.approx(found, abs=1e-4)


def test_many_small_bins_hide_nothing():
    logits, labels = logits_and_labels(1500)
    assert calibration_error(logits * 5, labels) > calibration_error(logits, labels)  # surer, and right no more often
    assert adaptive_calibration_error(logits * 5, labels) > adaptive_calibration_error(logits, labels)
