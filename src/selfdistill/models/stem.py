"""The convolution that reads the images, for another number of channels than three."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from selfdistill.errors import UserError

RGB = 3


class Stem(NamedTuple):
    """The first convolution of a network, and its path."""

    path: str
    convolution: nn.Conv2d


def find_stem(network: nn.Module, model: str) -> Stem:
    """Find the first convolution of images of three channels. Raises `UserError` if there is none."""
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == RGB and module.groups == 1:
            return Stem(path, module)
    raise UserError(
        f"{model} has no convolution of three channels that could take others; write a network of your own and pass it "
        "as MODULE:CALLABLE"
    )


@torch.no_grad()
def set_channels(stem: nn.Conv2d, channels: int, *, trained: bool) -> None:
    """Make a convolution of three channels read others, in place; its bias stays.

    Trained weights are folded; others are drawn anew, with the same deviation, from torch's global generator.
    """
    old = stem.weight
    shape = (old.shape[0], channels, *old.shape[2:])
    new = fold(old, channels) if trained else torch.randn(shape, dtype=old.dtype, device=old.device) * old.std()
    stem.weight, stem.in_channels = nn.Parameter(new, requires_grad=old.requires_grad), channels


def fold(weight: Tensor, channels: int) -> Tensor:
    """Fold the weights of a convolution of three channels to others, as timm does. [O, 3, h, w] -> [O, C, h, w].

    One channel gets their sum, so that a grey image gives the values of its copy in three channels; more repeat them in
    turn, by a factor of 3 / C.

    >>> fold(torch.ones(1, 3, 1, 1), 1).item(), fold(torch.ones(1, 3, 1, 1), 6)[0, :, 0, 0].tolist()
    (3.0, [0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    """
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    turns = -(-channels // RGB)
    return weight.repeat(1, turns, 1, 1)[:, :channels] * (RGB / channels)


def stored_channels(state: Mapping[str, Tensor], path: str) -> int | None:
    """Return the channels that a stored stem reads, below any prefix of its path; None if it is not stored."""
    name = f"{path}.weight"
    found = [each.shape[1] for key, each in state.items() if f".{key}".endswith(f".{name}") and each.dim() == 4]
    return found[0] if found else None
