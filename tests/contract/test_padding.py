"""Texts with more padded tokens give the same losses."""

import pytest
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.methods import REGISTRY
from tests.helpers.kinds import OF_TEXT, bert, distilbert, texts
from tests.helpers.losses import losses

STATISTICS = {"frskd", "fitnet", "review_kd"}  # BatchNorm of their heads counts the tokens of padding
METHODS = sorted({*REGISTRY} - {*OF_TEXT} - STATISTICS - {"dot"})


def padded(inputs):
    return {name: F.pad(each, (0, 5)) for name, each in inputs.items()}


def both(name, make=bert):
    """Losses of three steps, with and without five more padded tokens."""
    text = f"{name}(negatives=2)" if name == "crd" else f"{name}()"
    return losses(text, make, texts(), 3), losses(text, make, padded(texts()), 3)


@pytest.mark.parametrize("name", METHODS)
def test_padding_changes_no_loss(name):
    for one, other in zip(*both(name), strict=True):
        assert one.keys() == other.keys()
        for loss in one:
            assert_close(one[loss], other[loss], rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["drg", "dks", "scd"])
def test_padding_changes_no_loss_of_distilbert(name):
    for one, other in zip(*both(name, distilbert), strict=True):
        for loss in one:
            assert_close(one[loss], other[loss], rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_batch_statistics_count_padding(name):
    short, long = both(name)
    assert any(abs(short[-1][loss] / long[-1][loss] - 1) > 1e-3 for loss in short[-1])
