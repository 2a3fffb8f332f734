"""Logits in whatever a model returns."""

import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.features.trace import logits_of


class Answer:
    logits = torch.ones(1)


@pytest.mark.parametrize(
    "output",
    [
        torch.ones(1),
        Answer(),
        {"logits": torch.ones(1), "aux": 0},
        {"out": torch.ones(1), "aux": 0},
        (torch.ones(1), 0),
        [(torch.ones(1),), 0],
    ],
    ids=["tensor", "attribute", "dict", "torchvision", "tuple", "nested"],
)
def test_logits_in_what_a_model_returns(output):
    assert torch.equal(logits_of(output), torch.ones(1))


@pytest.mark.parametrize("output", [None, (), {"aux": torch.ones(1)}], ids=["none", "empty", "other key"])
def test_no_logits_in_what_a_model_returns(output):
    with pytest.raises(UserError, match=f"returned a {type(output).__name__}; it should return logits"):
        logits_of(output)
