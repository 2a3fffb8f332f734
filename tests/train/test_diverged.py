"""A run that diverges ends with an error at any rate, and leaves no result behind."""

import json

import pytest
import torch

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.train.networks import create_for
from tests.helpers.small_runs import small


@pytest.mark.parametrize("rate", [1e4, 1e12, 1e30])
@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_a_result_has_finite_numbers_or_there_is_none(rate, validation, tmp_path):
    try:
        result = sd.run(small(lr=rate, epochs=1, limit=100, validation=validation), tmp_path)
    except UserError:
        assert not (tmp_path / "result.json").exists()
    else:
        assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_logits_that_are_no_number_end_a_run(validation, tmp_path, monkeypatch):
    """Weights, statistics and losses are finite, and the trained network still gives NaN in eval mode."""
    made, passes = create_for, []

    def spoiling(*args, **kwargs):
        model = made(*args, **kwargs)
        model.register_forward_hook(lambda module, _, output: output if module.training else spoiled(output))
        return model

    def spoiled(output):
        passes.append(len(output))
        return output * torch.nan if len(output) > 2 else output  # two rows: the look at the model before

    monkeypatch.setattr("selfdistill.train.run.create_for", spoiling)
    with pytest.raises(UserError, match=r"the logits of \d+ of \d+ images are NaN or infinite \(the first: image 0\)"):
        sd.run(small(epochs=1, limit=100, validation=validation), tmp_path)
    assert max(passes) > 2
    assert not (tmp_path / "result.json").exists()
