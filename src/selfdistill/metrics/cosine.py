"""Cosine similarities of embeddings, and when two of them are equal.

A matrix product rounds by the place of a row in its block, so equal embeddings get cosines that differ in their last
bits; without a tolerance the order of rows would decide who is nearest.
"""

import torch
from torch import Tensor, nn

from selfdistill.metrics.inputs import checked_embeddings

TOLERANCE = 1e-12  # cosines that differ by less are equal; float64 rounds to 1e-13 at a width of 2,048


def unit_rows(embeddings: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Scale embeddings to length 1 in float64; zero stays zero. [N, D] -> [N, D] on the device.

    Stays on the CPU where the device has no float64 (MPS). Raises `UserError` for NaN and infinity.

    >>> unit_rows(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]], dtype=torch.float64)
    """
    place = torch.device("cpu") if torch.device(device).type == "mps" else torch.device(device)
    rows = checked_embeddings(embeddings.cpu()).to(place)
    return nn.functional.normalize(rows / rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-300))
