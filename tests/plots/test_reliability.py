"""Calibration against torchmetrics, and a bin by hand."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from selfdistill.metrics.accuracy import classification_metrics
from selfdistill.metrics.calibration import BINS
from selfdistill.plots.reliability import draw_reliability, reliability
from selfdistill.plots.svg import svg
from tests.helpers.figures import predictions


@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_the_one_that_is_reported(seed):
    logits, labels = predictions(200, seed=seed)
    assert 100 * reliability(logits, labels, BINS).error == pytest.approx(
        classification_metrics(logits, labels)["ece"], abs=1e-4
    )


def test_bins_by_hand():
    sure = torch.tensor([0.95, 0.85, 0.85, 0.55])
    logits = torch.stack([sure, 1 - sure], dim=1).log()
    found = reliability(logits, torch.tensor([0, 0, 1, 1]), bins=10)
    np.testing.assert_allclose(found.share[[5, 8, 9]], [0.25, 0.5, 0.25])
    np.testing.assert_allclose(found.accuracy[[5, 8, 9]], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(found.confidence[[5, 8, 9]], [0.55, 0.85, 0.95], atol=1e-6)
    assert np.isnan(found.accuracy[0])
    assert found.error == pytest.approx(0.25 * 0.55 + 0.5 * 0.35 + 0.25 * 0.05)


def test_a_certain_prediction_is_in_the_last_bin():
    found = reliability(torch.tensor([[100.0, 0.0]]), torch.tensor([0]))
    assert found.share[-1] == 1
    assert found.error == 0


def test_the_picture_has_the_bars():
    found = reliability(*predictions())
    figure = draw_reliability({"ce()": found, "csd()": found})
    bars = figure.axes[0].containers[0]
    np.testing.assert_array_equal([bar.get_height() for bar in bars], found.accuracy)
    assert f"ECE {100 * found.error:.1f} %" in svg(figure, "a")


def test_a_prediction_on_an_edge_is_where_torchmetrics_has_it():
    logits, labels = (
        torch.tensor([[0.0, 0.0], [0.0, 0.5], [0.0, -1.5]]),
        torch.tensor([1, 0, 0]),
    )  # sure: 0.5, 0.62, 0.82
    found = reliability(logits, labels, bins=2)
    want = multiclass_calibration_error(logits.softmax(dim=1), labels, 2, n_bins=2)
    assert found.share.tolist() == [0, 1]
    assert found.error == pytest.approx(want.item(), abs=1e-6)
