"""Lazily decoded images with the indexing of a tensor."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Size, Tensor

from selfdistill.data.center_crop import WHOLE, CenterCrop
from selfdistill.data.decode import (
    Probe,
    UnreadableImage,
    decode,
    decode_one,
    each_unreadable,
    first_side,
    probe,
    require_readable,
    require_side,
    require_whole,
)
from selfdistill.data.pixel_format import BYTE, PixelFormat
from selfdistill.data.rgb import UsedRange, ValueRange
from selfdistill.data.row_views import take
from selfdistill.data.whole_image import SHOWN, Pixels
from selfdistill.errors import UserError

CACHE = 2**28  # bytes of decoded images that are cached
CACHED_CALLS = 8  # the cache holds at least the images of this many `prefetch` calls
PROBED = 16  # images, evenly spaced, that must use their value range
USED = 1 / 4  # of the range at least by one of them: 64 of the 256 grey levels


class LazyImages:
    """Square images of one size, decoded by threads on access; indexed like a tensor [N, C, S, S].

    `names` identify images in messages. With `size` S the shorter side is resized and the center cropped by
    `crop`; without, all must be squares of the size of the first. `shown` is the value range of deep pixels; without,
    their format's. `form` has the channels and bits. Raises `UserError` on access to an image that is unreadable, or of
    another size or number of channels.
    """

    device = torch.device("cpu")  # of indices and pixels

    def __init__(
        self,
        sources: Sequence[bytes | Path],
        names: Sequence[str],
        size: int | None,
        side: int | None = None,
        shown: ValueRange | None = None,
        form: PixelFormat = SHOWN,
        crop: CenterCrop = WHOLE,
    ):
        self.form = form
        self.sources, self.names, self.size, self.shown = sources, names, size, shown
        self.crop = crop
        self._side = side or size
        self._pending: OrderedDict[int, Future[Pixels]] = OrderedDict()
        self._prefetched = 0  # most images of a `prefetch` call

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: Tensor | slice | int) -> Tensor:
        """Pixels of rows, with the semantics of tensor indexing. [M] or a slice -> [M, C, S, S]."""
        rows = torch.arange(len(self))[index]
        pixels = torch.empty(rows.numel(), *self.shape[1:], dtype=self.dtype)
        for place, pending in enumerate([self._submit(row) for row in rows.flatten().tolist()]):
            pixels[place] = torch.from_numpy(pending.result())
        return pixels.view(*rows.shape, *self.shape[1:])

    @cached_property
    def side(self) -> int:
        """Side length in pixels: of the first readable image, unless all are resized."""
        return self._side or first_side(self.sources, self.names.__getitem__, self.form)

    @property
    def shape(self) -> Size:
        """Shape of all decoded images. [N, C, S, S]."""
        return Size((len(self), self.form.channels, self.side, self.side))

    @property
    def nbytes(self) -> int:
        """Return the size of all decoded images in bytes."""
        return self.shape.numel() * self.dtype.itemsize

    @property
    def dtype(self) -> torch.dtype:
        """Type of the pixels."""
        return self.form.dtype

    def to(self, device: torch.device | str) -> "LazyImages":
        """Return self: decoded pixels are moved by the loader."""
        return self

    def rows(self, index: Tensor) -> "LazyImages":
        """Select images in the given order, without decoding. index [M]."""
        chosen = take(self.sources, index), take(self.names, index)
        return LazyImages(*chosen, self.size, self._side, self.shown, self.form, self.crop)

    def in_format(self, form: PixelFormat) -> "LazyImages":
        """Return the images with other channels and bits."""
        return LazyImages(self.sources, self.names, self.size, self._side, self.shown, form, self.crop)

    def cropped(self, crop: CenterCrop) -> "LazyImages":
        """Return the images with another center crop."""
        return LazyImages(self.sources, self.names, self.size, self._side, self.shown, self.form, crop)

    def decode_all(self) -> Tensor:
        """Decode all images. -> [N, C, S, S]; raises `UserError` if they would fill most of the memory."""
        return decode(self.sources, self.names.__getitem__, self.size, self.shown, self.form, self.crop)

    def unreadable(self) -> dict[int, UnreadableImage]:
        """Read all images; return the errors of the unreadable ones by row."""
        return each_unreadable(
            partial(require_whole, self.sources, name=self.names.__getitem__, form=self.form), len(self)
        )

    def notes(self) -> tuple[str, ...]:
        """Return sentences on image content that is ignored, from a sample of the images.

        Raises `UserError` if those of more than 8 bits use so little of their value range that they would be black.
        """
        rows = torch.linspace(0, len(self) - 1, min(PROBED, len(self))).long().tolist()
        probes = ((self.names[row], probe(self.sources[row], self.names[row], self.shown, self.form)) for row in rows)
        found = {name: probed for name, probed in probes if probed}
        used = {name: each.used for name, each in found.items() if each.used and not (each.used.grey and self.shown)}
        if self.form.bits == BYTE:
            _require_used_range(used)
        return tuple(_notes(found))

    def prefetch(self, index: Tensor) -> None:
        """Start decoding rows in the background. index [M]."""
        self._prefetched = max(self._prefetched, len(index))
        for row in index.tolist():
            self._submit(row)

    def require_one_size(self) -> None:
        """Raise `UserError` if sizes differ and no size to resize to is given; reads headers only."""
        if self.size is None:
            check = partial(require_side, self.sources, name=self.names.__getitem__, side=self.side, form=self.form)
            require_readable(each_unreadable(check, len(self)).values())

    def _submit(self, row: int) -> "Future[Pixels]":
        if row not in self._pending:
            image = (self.sources, row, self.names.__getitem__, self.size, self.side, self.shown, self.form, self.crop)
            self._pending[row] = self._threads.submit(decode_one, *image)
        pending = self._pending[row]
        while len(self._pending) > self._capacity:
            self._pending.popitem(last=False)
        return pending

    @property
    def _capacity(self) -> int:
        """Decoded images that are cached, at least one."""
        return max(CACHE // (self.form.bytes * self.side**2), CACHED_CALLS * self._prefetched, 1)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")


def _notes(probes: Mapping[str, Probe]) -> Iterator[str]:
    if framed := [name for name, each in probes.items() if each.frames]:
        yield f"images such as {framed[0]} have several frames or pages, of which the first is read"
    if deep := [name for name, each in probes.items() if each.deep]:
        yield f"images such as {deep[0]} have more than 8 bits a channel and are read with 8; --bits 16 reads up to 16"
    if more := [name for name, each in probes.items() if each.channels]:
        count = probes[more[0]].channels
        yield f"images such as {more[0]} have {count} channels, not all of which are read; --channels {count} reads all"
    name = max(probes, key=lambda each: probes[each].clipped, default="")
    if name and (share := probes[name].clipped):
        yield f"up to {100 * share:.2g} % of an image's values lie beyond ?range and are clipped, such as in {name}"


def _require_used_range(used: Mapping[str, UsedRange]) -> None:
    if not used or (most := max(each.share for each in used.values())) >= USED:
        return
    name, (_, grey) = next(iter(used.items()))
    out = "add the values of black and white to --data, such as ?range=0..4095 for 12 bits, or ?range=0..65535 if they "
    out = f"{out}are this dark" if grey else "scale them to the full range, or convert them to 8 bits a channel"
    raise UserError(
        f"images such as {name} have more than 8 bits, but use only {100 * most:.2g} % of their range, so they would "
        f"be nearly black; {out}"
    )
