"""Random streams with names: what one kind of draw consumes never moves another."""

import zlib

from torch import Generator


def stream(*key: object) -> Generator:
    """The generator of one kind of draw, such as `stream(seed, "order", epoch)`: equal keys, equal draws."""
    return Generator().manual_seed(zlib.crc32(":".join(map(str, key)).encode()))
