"""Random streams of their own, each by its name."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator


@contextmanager
def fork_rng_named(name: str) -> Iterator[None]:
    """Draw from a stream of this name, and leave torch's own where it was."""
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(name.encode()))
        yield


def make_generator(*key: object) -> Generator:
    """The generator of one kind of draw, such as `stream(seed, "order", epoch)`: equal keys, equal draws."""
    return Generator().manual_seed(zlib.crc32(":".join(map(str, key)).encode()))
