"""Layers of heads for features of any number of dimensions."""

from typing import NamedTuple

from torch import nn

from selfdistill.errors import UserError

Conv = type[nn.Conv2d] | type[nn.Conv3d]
ConvTranspose = type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]
BatchNorm = type[nn.BatchNorm2d] | type[nn.BatchNorm3d]
AdaptiveAvgPool = type[nn.AdaptiveAvgPool2d] | type[nn.AdaptiveAvgPool3d]


class Layers(NamedTuple):
    """PyTorch's layer classes for maps, or for volumes."""

    conv: Conv
    conv_transpose: ConvTranspose
    batch_norm: BatchNorm
    adaptive_avg_pool: AdaptiveAvgPool


FOR_MAPS = Layers(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.AdaptiveAvgPool2d)
FOR_VOLUMES = Layers(nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.AdaptiveAvgPool3d)


def layers_for(ndim: int) -> Layers:
    """Return the layers for features of `ndim` dimensions: 5 of a volume, 4 of a map, 3 of tokens, 2 of a vector.

    Tokens and vectors are read as maps (see `functional.as_map`). Raises `UserError` for any other number.

    >>> from selfdistill.heads.layers import layers_for
    >>> layers_for(5).conv.__name__, layers_for(3).conv.__name__
    ('Conv3d', 'Conv2d')
    """
    if not 2 <= ndim <= 5:
        raise UserError(
            f"no head reads features of {ndim} dimensions; tap a map [B, D, H, W], a volume [B, D, T, H, W], "
            "tokens [B, N, D] or a vector [B, D]"
        )
    return FOR_VOLUMES if ndim == 5 else FOR_MAPS
