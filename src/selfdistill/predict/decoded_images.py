"""Images decoded by threads, a few batches ahead of the network."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from torch import Tensor

from selfdistill.data.decode import UnreadableImage
from selfdistill.data.whole_image import size_of
from selfdistill.errors import UserError
from selfdistill.predict.transform import ImageTransform

AHEAD = 2  # batches


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """Pixels of a file after the run's transform, or the reason why it cannot be read."""

    path: Path
    pixels: Tensor | None = None  # [C, H, W]
    size: tuple[int, int] = (0, 0)  # height and width of the image in the file
    error: str = ""


def decoded(
    paths: Iterable[Path], transform: ImageTransform, side: int | None, rows: int
) -> Iterator[list[DecodedImage]]:
    """Yield batches of `rows` images in order; the next ones are decoded meanwhile. `side` as in `pixels`."""
    rest, pending = iter(paths), deque[list[Future[DecodedImage]]]()
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode") as threads:
        while block := [threads.submit(_read, path, transform, side) for path in islice(rest, rows)]:
            pending.append(block)
            if len(pending) > AHEAD:
                yield [each.result() for each in pending.popleft()]
        for block in pending:
            yield [each.result() for each in block]


def _read(path: Path, transform: ImageTransform, side: int | None) -> DecodedImage:
    try:
        whole = transform.whole(path)
    except UnreadableImage as error:
        return DecodedImage(path, error=error.reason)
    except UserError as error:  # pixels without a known range, or of other channels
        return DecodedImage(path, error=str(error))
    width, height = size_of(whole)
    return DecodedImage(path, transform.pixels_of(whole, side), (height, width))
