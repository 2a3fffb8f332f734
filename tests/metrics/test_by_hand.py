"""Measures against hand-made cases."""

import math

import pytest
import torch

from selfdistill import data
from selfdistill.metrics.accuracy import classification_metrics, evaluate, predict
from selfdistill.models import create


def test_measures_by_hand():
    labels = torch.tensor([0, 1, 2, 3])
    logits = torch.zeros(4, 10)
    logits[0, 0] = logits[1, 1] = logits[2, 9] = math.log(9.0)  # confidence 0.5 in the class named
    logits[2, 2] = -1e-9  # behind the other zeros
    logits[3, [5, 6, 7, 8, 3, 9]] = torch.tensor([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    found = classification_metrics(logits, labels)
    assert found["top1"] == 50.0
    assert found["top5"] == 75.0
    p3 = math.exp(2) / (sum(math.exp(k) for k in range(1, 7)) + 4)
    assert found["nll"] == pytest.approx((2 * math.log(2) + math.log(18) - math.log(p3)) / 4)
    sure = math.exp(6) / (sum(math.exp(k) for k in range(1, 7)) + 4)  # in another bin than the three of 0.5
    assert found["ece"] == pytest.approx(100 * (3 / 4 * abs(2 / 3 - 0.5) + 1 / 4 * sure), rel=1e-4)


def test_few_classes_have_no_top5():
    assert "top5" not in classification_metrics(torch.randn(6, 4), torch.zeros(6, dtype=torch.long))


def test_evaluation_leaves_the_model_as_it_was():
    splits = data.load("fake:classes=4,size=8,test=30")
    model = create("resnet8", 4)
    model.layer1.eval()
    modes = [module.training for module in model.modules()]
    augment = data.default_augmentation(splits)
    found = evaluate(model, splits.test, augment, batch_size=7)
    assert modes == [module.training for module in model.modules()]
    logits, labels = predict(model, splits.test, augment, batch_size=30)
    assert found["top1"] == pytest.approx(100 * (logits.argmax(1) == labels).double().mean().item())
    assert not logits.requires_grad
