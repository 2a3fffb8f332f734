"""Statistics of the channels of large sets, kept between runs: they cost the decoding of 50,000 images."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from selfdistill.data.cache_folder import cache_folder, cache_key
from selfdistill.data.kept_arrays import read_kept, write_kept
from selfdistill.records import DataFingerprint

LAYOUT = 1  # of the files; part of their names


def kept_histogram(
    files: DataFingerprint, data: str, size: int, names: Iterable[str], make: Callable[[], Tensor]
) -> Tensor:
    """Return the histogram [C, 256] of named images of a data specification, made once for files, size and names."""
    key = cache_key([LAYOUT, data, size, files["digest"], *names])
    path = cache_folder("statistics") / f"{key}.npz"
    if (found := read_kept(path)) is None:
        found = {"histogram": make().numpy()}
        write_kept(path, found)
    return torch.from_numpy(found["histogram"])
