"""The packed state of a step: other tensors are refused in words."""

import pytest
import torch
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.loop.extra_state import pack, unpack


@pytest.mark.parametrize(
    "packed",
    [
        torch.zeros(7, dtype=torch.uint8),
        torch.arange(300),
        pack({"calls": 3})[:-40],
        pack({}),
        pack({"calls": 3, "more": 4}),
        torch.frombuffer(bytearray(b"text"), dtype=torch.uint8),
    ],
)
def test_a_tensor_that_pack_did_not_make_is_refused(packed: Tensor) -> None:
    with pytest.raises(UserError, match="`_extra_state` of this state dict is damaged"):
        unpack(packed, keys=["calls"])
