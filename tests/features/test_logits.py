"""Logits in whatever a model returns."""

from typing import NamedTuple

import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.features.logits import logits_of, named_tensors


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


class Pair(NamedTuple):
    logits: torch.Tensor
    aux_logits: torch.Tensor | None


class Plain:
    def __init__(self):
        self.logits, self.aux_logits, self.count = torch.ones(1), [torch.ones(1), torch.ones(1)], 2


@pytest.mark.parametrize(
    ("output", "names"),
    [
        (torch.ones(1), [""]),
        (Pair(torch.ones(1), torch.ones(1)), ["logits", "aux_logits"]),
        (Pair(torch.ones(1), None), ["logits"]),
        ((torch.ones(1), [torch.ones(1)]), ["0", "1.0"]),
        ({"out": torch.ones(1), "aux": {"deep": torch.ones(1)}}, ["out", "aux.deep"]),
        (Plain(), ["logits", "aux_logits.0", "aux_logits.1"]),
        (None, []),
    ],
    ids=["tensor", "named tuple", "field of None", "tuple", "dict", "object", "none"],
)
def test_tensors_are_named_by_their_place(output, names):
    assert list(named_tensors(output)) == names
