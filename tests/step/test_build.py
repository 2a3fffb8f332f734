"""Requirements of terms on a model's structure."""

import pytest
from torch import nn

import selfdistill as sd
from selfdistill.errors import UserError
from tests.helpers.kinds import Recurrent, floats, mlp, texts, weight_normed


def test_one_module_is_one_stage():
    answer = r"needs at least 2, but Recurrent has 1 \(each module is one at most, an LSTM of several layers too\); use"
    with pytest.raises(UserError, match=answer):
        sd.teach(Recurrent(), "byot()", texts()["input_ids"])


def test_a_table_has_no_positions():
    with pytest.raises(UserError, match=r"scd\(\) .*use a model with more stages, larger inputs, or a method that"):
        sd.teach(mlp(), "scd()", floats(12)())


@pytest.mark.parametrize("text", ["adacos()", "sla()"])
def test_a_computed_weight_that_would_be_written_is_refused_before_training(text):
    answer = r"writes the weight of '5' at the end, but a parametrization computes it; call .*remove_parametrizations"
    with pytest.raises(UserError, match=answer):
        sd.teach(weight_normed(), text, floats(3, 16, 16)())


def test_a_weight_that_is_stored_again_is_taken():
    model = weight_normed()
    nn.utils.parametrize.remove_parametrizations(model[-1], "weight")
    assert sd.teach(model, "adacos()", floats(3, 16, 16)()).student is model
