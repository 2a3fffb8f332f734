"""Pixels of any number of channels and bits as 8-bit colors, for drawings."""

from torch import Tensor

from selfdistill.data.pixel_format import RGB, largest_value


def visible(images: Tensor) -> Tensor:
    """Return the first three channels, or the first one as grey, in 8 bits. [N, C, H, W] -> [N, 3, H, W] uint8.

    >>> visible(torch.full((1, 4, 2, 2), 7, dtype=torch.uint8)).shape
    torch.Size([1, 3, 2, 2])
    """
    shown = images[:, :RGB] if images.shape[1] >= RGB else images[:, :1].expand(-1, RGB, -1, -1)
    return (shown // ((largest_value(images.dtype) + 1) // 256)).byte()
