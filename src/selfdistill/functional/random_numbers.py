"""Random numbers from a key, without a generator: a step that draws them stays one graph and repeats after a resume."""

import torch
from torch import Size, Tensor

LOW = 0xFFFFFFFF  # the lower 32 bits


def uniform(key: Tensor, shape: Size | tuple[int, ...]) -> Tensor:
    """Draw float32 numbers from 0 to under 1, the same ones for the same key. [] int64 -> shape.

    Each number is a hash of the key and of its place (the finalizer of MurmurHash3, twice).

    >>> from selfdistill.functional import uniform
    >>> key = torch.tensor(7)
    >>> torch.equal(uniform(key, (2, 3)), uniform(key, (2, 3))), torch.equal(uniform(key, (9,)), uniform(key + 1, (9,)))
    (True, False)
    """
    base = _mixed(_mixed(key & LOW) ^ (key >> 32 & LOW))
    places = torch.arange(Size(shape).numel(), device=key.device)
    numbers = _mixed((_mixed(places & LOW) + base) & LOW)
    return ((numbers >> 8).float() / 2**24).view(shape)


def _mixed(bits: Tensor) -> Tensor:
    """Mix 32 bits, so that each depends on all."""
    bits = ((bits ^ bits >> 16) * 0x85EBCA6B) & LOW
    bits = ((bits ^ bits >> 13) * 0xC2B2AE35) & LOW
    return bits ^ bits >> 16
