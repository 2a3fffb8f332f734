"""Conversion of color images to one channel of luminance."""

import torch
from torch import Tensor

RED, GREEN, BLUE = 19595, 38470, 7471  # shares of ITU-R 601 in units of 1 / 65,536, as Pillow's mode L has them


def to_grey(images: Tensor) -> Tensor:
    """Convert colors to luminance; of three equal channels to their value. [N, 3, H, W] uint8 -> [N, 1, H, W] uint8.

    >>> to_grey(torch.tensor([[7, 255], [7, 0], [7, 0]], dtype=torch.uint8).view(1, 3, 1, 2)).flatten()
    tensor([ 7, 76], dtype=torch.uint8)
    """
    shares = torch.tensor([RED, GREEN, BLUE], dtype=torch.int32, device=images.device)
    sums = sum((share * images[:, c].int() for c, share in enumerate(shares)), start=torch.zeros((), dtype=torch.int32))
    return ((sums + 2**15) >> 16).to(torch.uint8)[:, None]
