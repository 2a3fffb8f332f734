"""TIFF files that Pillow does not open, such as of five channels, read by tifffile; imported with the first of them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tifffile
from PIL import Image

from selfdistill.data.rgb import ORIENTATION


class TiffImage(Image.Image):
    """The header of the first page of a TIFF; its mode is empty, since Pillow has none for it."""

    format = "TIFF"

    def __init__(self, source: bytes | Path):
        super().__init__()
        self.source = source
        with first_page(source) as page:
            self._size = (page.imagewidth, page.imagelength)
            self.samples, self.bits = int(page.samplesperpixel), bits_of(page)
            tag = page.tags.get(ORIENTATION)
            self.orientation = int(tag.value) if tag else 1

    def load(self) -> None:
        """Read all pixels, so that a broken file is found."""
        with first_page(self.source) as page:
            page.asarray()

    def getexif(self) -> Image.Exif:
        """Return the orientation."""
        exif = Image.Exif()
        exif[ORIENTATION] = self.orientation
        return exif


@contextmanager
def first_page(source: bytes | Path) -> Iterator[Any]:
    """Open the first page of a TIFF: a `tifffile.TiffPage`."""
    with tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
        yield file.pages[0]


def bits_of(page: Any) -> int:
    """Return the bits of a channel of a page."""
    found = page.bitspersample
    return max(found) if isinstance(found, tuple) else int(found)
