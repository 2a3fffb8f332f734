"""State other than parameters and buffers as one tensor, which every checkpoint format can store."""

import io
from typing import Any

import torch
from torch import Tensor

from selfdistill.errors import UserError


def pack(state: dict[str, Any]) -> Tensor:
    """Serialize a dictionary of tensors and numbers. -> [bytes] uint8.

    >>> unpack(pack({"calls": 3}))
    {'calls': 3}
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def unpack(packed: Tensor, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Deserialize a dictionary from `pack`, with its tensors on this device. [bytes] -> dict.

    Raises `UserError` for a tensor that `pack` did not make.
    """
    buffer = io.BytesIO(packed.cpu().numpy().tobytes())
    try:
        state: dict[str, Any] = torch.load(buffer, map_location=device, weights_only=True)
    except Exception as error:  # torch's message advises weights_only=False, which runs code of the file
        raise UserError(
            "`_extra_state` of this state dict is damaged, or not of teach.state_dict(); load an intact one"
        ) from error
    return state
