"""Flow of the solution procedure: products of two stages' channels (https://doi.org/10.1109/CVPR.2017.754)."""

import torch
from torch import Tensor

from selfdistill.functional.features import as_maps_of_one_size
from selfdistill.functional.padding import present_share


def flow_matrix(shallow: Tensor, deep: Tensor) -> Tensor:
    """Average the products of two stages' channels over positions, or tokens present; the larger map is pooled.

    [B, D, *sides] or [B, N, D], [B, E, *sides] or [B, N, E] -> [B, E, D]. Yim et al., 2017
    (https://doi.org/10.1109/CVPR.2017.754).

    >>> import torch
    >>> from selfdistill.functional import flow_matrix
    >>> flow_matrix(torch.ones(1, 2, 4, 4), 3 * torch.ones(1, 1, 2, 2))
    tensor([[[3., 3.]]])
    """
    one, other = (each.flatten(2) for each in as_maps_of_one_size(shallow, deep))
    return torch.einsum("bdp,bep->bed", one, other) / one.shape[2] / present_share(shallow)[..., None]
