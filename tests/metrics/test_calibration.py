import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from selfdistill.metrics.accuracy import classification_metrics
from selfdistill.metrics.calibration import (
    adaptive_calibration_error,
    brier,
    calibration,
    calibration_error,
    equal_width_bins,
)
from selfdistill.plots.reliability import reliability
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


def expected_error(confidence, right, bins):
    """ECE in exact arithmetic: bin k is [k / bins, (k + 1) / bins), the last one closed."""
    parts = [[] for _ in range(bins)]
    for sure, good in zip(confidence, right, strict=True):
        parts[min(int(sure * bins), bins - 1)].append(sure - good)
    return float(100 * sum(abs(sum(part)) for part in parts) / len(confidence))


def sure_rows():
    """Ten rows whose probability is 1, half of them wrong, and ten of 0.95, all right; all are in the last bin."""
    logits = torch.zeros(20, 3)
    logits[:10, 0] = 60
    logits[10:, 0] = math.log(2 * 0.95 / 0.05)
    return logits, torch.tensor([1] * 5 + [0] * 15)


def test_a_probability_of_one_is_in_the_last_bin():
    logits, labels = sure_rows()
    assert calibration_error(logits, labels) == pytest.approx(22.5, abs=1e-5)
    assert reliability(logits, labels).error == pytest.approx(0.225, abs=1e-7)
    assert classification_metrics(logits, labels)["ece"] == pytest.approx(22.5, abs=1e-5)


@pytest.mark.parametrize("gap", [18, 40, 1e4, 1e30])
def test_surer_rows_stay_in_the_last_bin(gap):
    logits, labels = sure_rows()
    logits[:10, 0] = gap
    assert calibration_error(logits, labels) == pytest.approx(22.5, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_float64(dtype):
    logits, labels = sure_rows()
    rounded = logits.to(dtype)
    assert calibration_error(rounded, labels) == calibration_error(rounded.double(), labels)


@pytest.mark.parametrize("bins", [5, 10, 15, 20])
def test_a_bin_begins_at_its_edge(bins):
    edges = torch.arange(bins + 1, dtype=torch.float64) / bins
    assert equal_width_bins(edges, bins).tolist() == [*range(bins), bins - 1]
    inside = (edges[:-1] + edges[1:]) / 2
    assert equal_width_bins(inside, bins).tolist() == list(range(bins))
    assert equal_width_bins(edges[1:-1] - 1e-6, bins).tolist() == list(range(bins - 1))


@pytest.mark.parametrize("classes", [2, 3, 5, 15, 30])
def test_equal_logits_lie_on_an_edge(classes):
    logits, labels = torch.zeros(6, classes), torch.tensor([0, 0, 1, 1, 1, 1])
    want = expected_error([Fraction(1, classes)] * 6, [1, 1, 0, 0, 0, 0], 15)
    assert calibration_error(logits, labels) == pytest.approx(want)
    assert 100 * reliability(logits, labels).error == pytest.approx(want)


def test_two_groups_about_an_edge_are_told_apart():
    logits = torch.zeros(4, 5)
    logits[2:, 0] = -1e-3  # the last two just above 1/5, the first two on it: one bin, [3/15, 4/15)
    labels = torch.tensor([0, 1, 1, 2])
    sure = logits.double().softmax(dim=1).amax(dim=1).tolist()
    assert calibration_error(logits, labels) == pytest.approx(100 * abs(sum(sure) - 2) / 4)


def test_adaptive_bins_order_what_rounds_to_one():
    logits = torch.stack([torch.arange(40.0, 70.0), torch.zeros(30)], dim=1)  # of probability 1 in float64
    labels = (torch.arange(30) < 10).long()  # the ten least sure are wrong
    assert adaptive_calibration_error(logits, labels) == pytest.approx(100 / 3)
    mixed = (torch.arange(30) % 4 == 1).long()  # one of two in each other bin
    assert adaptive_calibration_error(logits, mixed) == pytest.approx(100 * 8 / 30)
