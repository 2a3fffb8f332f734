"""One rule for equal logits, and confidences that do not round to 1, against exact arithmetic."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings

from selfdistill.metrics.accuracy import accuracy
from selfdistill.metrics.per_class import per_class_metrics
from selfdistill.metrics.prediction import label_rank, log_odds, max_probability, predicted_class
from selfdistill.metrics.selective import selective_risk
from selfdistill.plots.confusion import confusion
from tests.helpers.metric_rows import any_logits


def rank_by_loop(row, label):
    """Place of the label among classes sorted by logit, and by number where logits are equal."""
    return sorted(range(len(row)), key=lambda k: (-row[k], k)).index(label)


@settings(max_examples=60)
@given(any_logits())
def test_ranks_are_those_of_a_stable_order(given_rows):
    logits, labels = given_rows
    want = [rank_by_loop(row, label) for row, label in zip(logits.tolist(), labels.tolist(), strict=True)]
    assert label_rank(logits, labels).tolist() == want


@settings(max_examples=60)
@given(any_logits())
def test_every_metric_has_the_same_prediction(given_rows):
    logits, labels = given_rows
    right = predicted_class(logits) == labels
    rows = per_class_metrics(logits, labels, "abcd"[: logits.shape[1]])
    table = confusion(logits, labels)
    assert accuracy(logits, labels) == 100 * int(right.sum()) / len(labels)
    assert table.trace() == int(right.sum())
    assert [row["top1"] for row in rows if row["images"]] == [
        100 * table[k, k] / table[k].sum() for k in range(len(rows)) if table[k].sum()
    ]
    assert torch.equal(label_rank(logits, labels) == 0, right)


@pytest.mark.parametrize("classes", [6, 10, 100, 1000])
def test_a_network_of_equal_logits_names_the_first_classes(classes):
    labels = torch.arange(classes)
    logits = torch.zeros(classes, classes)
    assert accuracy(logits, labels) == pytest.approx(100 / classes)
    assert accuracy(logits, labels, 5) == pytest.approx(500 / classes)
    assert label_rank(logits, labels).tolist() == labels.tolist()


def test_logits_that_only_a_softmax_makes_equal():
    logits = torch.tensor([[0.0, 1e-30], [1e-30, 0.0]])
    assert predicted_class(logits).tolist() == [1, 0]
    assert accuracy(logits, torch.tensor([1, 0])) == 100
    assert confusion(logits, torch.tensor([1, 0])).tolist() == [[1, 0], [0, 1]]
    assert selective_risk(logits, torch.tensor([1, 0]))["aurc"] == 0


def test_log_odds_are_their_definition():
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4
    probability = logits.softmax(dim=1).amax(dim=1)
    torch.testing.assert_close(log_odds(logits), (probability / (1 - probability)).log())
    torch.testing.assert_close(max_probability(logits), probability)


@pytest.mark.parametrize("gap", [30, 38, 100, 800, 1e4, 1e30])
def test_log_odds_order_what_rounds_to_one(gap):
    found = log_odds(torch.tensor([[gap, 0.0, 0.0], [0.0, 1.25 * gap, 0.0], [1.25 * gap, gap, 0.0]]).float())
    assert found[0] < found[1]
    assert found[2] < found[0]
    assert found[0].item() == pytest.approx(gap - math.log(2), rel=1e-6)


def test_the_order_of_classes_has_no_effect():
    draws = torch.Generator().manual_seed(3)
    row = torch.randn(100, generator=draws) * 20
    found = log_odds(torch.stack([row[torch.randperm(100, generator=draws)] for _ in range(50)]))
    assert found.unique().numel() == 1


def test_a_class_alone_and_masked_classes_are_sure():
    assert log_odds(torch.zeros(1, 1)).tolist() == [math.inf]
    assert log_odds(torch.tensor([[3.0, -math.inf]])).tolist() == [math.inf]
    assert max_probability(torch.tensor([[3.0, -math.inf]])).tolist() == [1.0]


def test_sure_predictions_are_ranked_by_the_risk_curve():
    logits = torch.tensor([[50.0, 0], [60, 0], [70, 0], [80, 0]])  # all of probability 1 in float64
    labels = torch.tensor([1, 1, 0, 0])  # the two least sure are wrong
    want = (0 + 0 + Fraction(1, 3) + Fraction(2, 4)) / 4
    assert selective_risk(logits, labels) == pytest.approx({"aurc": float(100 * want), "aurc_excess": 0})
