import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from selfdistill.metrics.per_class import per_class_metrics
from tests.helpers.metric_rows import logits_and_labels


def test_a_row_is_scikit_learns():
    logits, labels = logits_and_labels()
    rows = per_class_metrics(logits, labels, list("abcdefgh"))
    precision, recall, _, images = precision_recall_fscore_support(labels.numpy(), logits.argmax(1).numpy())
    assert [row["class"] for row in rows] == list("abcdefgh")
    assert [row["precision"] for row in rows] == pytest.approx((100 * precision).tolist())
    assert [row["top1"] for row in rows] == pytest.approx((100 * recall).tolist())
    assert [row["images"] for row in rows] == images.tolist()


def test_by_hand():
    guesses, labels = torch.tensor([0, 1, 1, 1, 0]), torch.tensor([0, 0, 0, 1, 0])
    found = per_class_metrics(torch.eye(3)[guesses], labels, ("cat", "dog", "cow"))
    cat = {"class": "cat", "images": 4, "top1": 50.0, "precision": 100.0, "taken_for": "dog"}
    dog = {"class": "dog", "images": 1, "top1": 100.0, "precision": 100 / 3, "taken_for": None}
    cow = {"class": "cow", "images": 0, "top1": None, "precision": None, "taken_for": None}
    assert found == [cat, dog, cow]
