"""State beside parameters and buffers as one tensor, which every checkpoint format takes."""

import io
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from selfdistill.errors import UserError

DAMAGED = "`_extra_state` of this state dict is damaged, or not of teach.state_dict(); load an intact one"


def pack(state: Mapping[str, object]) -> Tensor:
    """Serialize a dictionary of tensors and numbers. -> [bytes] uint8.

    >>> unpack(pack({"calls": 3}), keys=["calls"])
    {'calls': 3}
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def unpack(packed: Tensor, device: torch.device | str = "cpu", *, keys: Collection[str]) -> dict[str, Any]:
    """Deserialize a dictionary with these keys from `pack`, with its tensors on this device. [bytes] -> dict.

    Raises `UserError` for a tensor that `pack` did not make, and for other keys.
    """
    try:
        state = torch.load(io.BytesIO(packed.cpu().numpy().tobytes()), map_location=device, weights_only=True)
    except Exception as error:  # torch's message advises weights_only=False, which runs code of the file
        raise UserError(DAMAGED) from error
    if not isinstance(state, dict) or state.keys() != set(keys):
        raise UserError(DAMAGED)
    return state
