"""Ranked outputs: sorted rows and their deviation by plain loops."""

import math
from statistics import fmean, pstdev

import numpy as np
import pytest
import torch

from selfdistill.plots.ranked import TOP, draw_ranked, ranked_outputs
from tests.helpers.figures import predictions


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_spread_by_hand(temperature):
    logits, _ = predictions(7)
    rows = []
    for row in logits.tolist():
        powers = sorted((math.exp(x / temperature) for x in row), reverse=True)
        rows.append([x / sum(powers) for x in powers])
    found = ranked_outputs(logits, temperature)
    np.testing.assert_allclose(found.mean, [fmean(rank) for rank in zip(*rows, strict=True)])
    np.testing.assert_allclose(found.std, [pstdev(rank) for rank in zip(*rows, strict=True)])


def test_one_shape_has_no_spread():
    row = torch.tensor([3.0, 1.0, 2.0])
    found = ranked_outputs(torch.stack([row, row.flip(0), row.roll(1)]))
    assert found.std.max() < 1e-12
    assert (np.diff(found.mean) < 0).all()


def test_the_picture_has_all_lines_and_the_first_bars():
    found = {"before": ranked_outputs(torch.randn(5, 100)), "after": ranked_outputs(3 * torch.randn(5, 100))}
    figure = draw_ranked(found)
    spread, bars = figure.axes
    assert [line.get_ydata().tolist() for line in spread.get_lines()] == [each.std.tolist() for each in found.values()]
    heights = [[bar.get_height() for bar in each.patches] for each in bars.containers if hasattr(each, "patches")]
    assert heights == [each.mean[:TOP].tolist() for each in found.values()]
    assert bars.get_xlabel() == "rank, the first 31"
