"""Texts with more padded tokens give the same losses."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.methods import REGISTRY
from tests.contract.test_tokens import REFUSED as REFUSED_TOKENS
from tests.helpers.kinds import OF_TEXT, bert, distilbert, texts, token_labels
from tests.helpers.losses import losses

STATISTICS = {
    "frskd",
    "fitnet",
    "review_kd",
    "loth",
    "srrl",
    "corsd",
    "semckd",
}  # BatchNorm of their heads counts padding
METHODS = sorted({*REGISTRY} - {*OF_TEXT} - STATISTICS - {"dot"})


def lively(make):
    """A network with larger weights and other norms: at first all tokens look alike, and padding would not show."""

    def made():
        model = make()
        with torch.no_grad():
            for each in model.parameters():
                each.copy_(10 * each if each.dim() > 1 else each + torch.rand_like(each))
        return model

    return made


def padded(inputs):
    return {name: F.pad(each, (0, 5)) for name, each in inputs.items()}


def both(name, make=bert):
    """Losses of three steps, with and without five more padded tokens."""
    text = f"{name}(negatives=2)" if name == "crd" else f"{name}()"
    return losses(text, lively(make), texts(), 3), losses(text, lively(make), padded(texts()), 3)


def assert_same(short, long):
    """Losses of the first step are equal; of later steps as far as rounding grows."""
    assert [each.keys() for each in short] == [each.keys() for each in long]
    assert_close(short[0], long[0], rtol=3e-5, atol=5e-7)
    assert_close(short[1:], long[1:], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_padding_changes_no_loss(name):
    assert_same(*both(name))


@pytest.mark.parametrize("name", ["drg", "dks", "scd"])
def test_padding_changes_no_loss_of_distilbert(name):
    assert_same(*both(name, distilbert))


@pytest.mark.parametrize("name", sorted({*METHODS} - {*REFUSED_TOKENS}))
def test_padding_changes_no_loss_of_a_tagger(name):
    make = lively(lambda: bert("TokenClassification"))
    short = losses(f"{name}()", make, texts(), 3, token_labels())
    assert_same(short, losses(f"{name}()", make, padded(texts()), 3, F.pad(token_labels(), (0, 5), value=-100)))


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_batch_statistics_count_padding(name):
    short, long = both(name)
    assert any(abs(short[-1][loss] / long[-1][loss] - 1) > 1e-3 for loss in short[-1])
