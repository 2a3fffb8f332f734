"""State beside parameters and buffers as one tensor, which every checkpoint format takes."""

import io
from typing import Any

import torch
from torch import Tensor


def pack(state: dict[str, Any]) -> Tensor:
    """Serialize a dictionary of tensors and numbers. -> [bytes] uint8.

    >>> unpack(pack({"calls": 3}))
    {'calls': 3}
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def unpack(packed: Tensor, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return the dictionary in a tensor of `pack`, its tensors on this device. [bytes] -> dict."""
    buffer = io.BytesIO(packed.cpu().numpy().tobytes())
    state: dict[str, Any] = torch.load(buffer, map_location=device, weights_only=True)
    return state
