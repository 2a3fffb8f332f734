"""Pixels as rows, for dense classification: which ones a term compares, and the values of maps there.

The task reads every pixel with a label. A distillation reads a fixed number of them, so that its cost and its memory
do not grow with the image: 4,096, or 256 where it compares rows with one another.
"""

from typing import NamedTuple

import torch
from torch import Size, Tensor

from selfdistill.data.batch import Batch
from selfdistill.data.ignored import IGNORED
from selfdistill.errors import UserError
from selfdistill.functional import channels, resize
from selfdistill.step.rows import ExampleRows, Selection
from selfdistill.terms import EXAMPLES, LossTerm, ModelOutputs, Progress

PIXELS, PAIRED_PIXELS = 4096, 256  # per step
GOLDEN, NEXT = 2654435769, 1640531527  # 2^32 / φ and 2^32 / φ²: their multiples modulo 2^32 spread evenly


class AllPixels(Selection):
    """All pixels of a batch; those without a label have the label -100."""

    def __init__(self, batch: Batch):
        labels = batch.labels.flatten()
        self.any_label, self.size = (labels != IGNORED).any(), batch.labels.shape[1:]
        super().__init__(batch._replace(labels=torch.where(self.any_label, labels, 0)))

    def outputs(self, outputs: ModelOutputs) -> ModelOutputs:
        """Convert the logits of a pass; a task that reads all pixels reads no embedding."""
        return super().outputs(outputs)._replace(embedding_or_none=None)

    def logits(self, logits: Tensor) -> Tensor:
        """Resize maps of logits to the labels. [B, C, h, w] -> [B · H · W, C]."""
        maps = logits if logits.shape[2:] == self.size else resize(logits, self.size)
        return maps.movedim(1, -1).flatten(0, 2)


class WholeMaps(Selection):
    """All positions of a batch, as maps: labels [B, H, W], -100 where there is none, and logits as the model's."""

    def __init__(self, batch: Batch):
        super().__init__(batch)
        self.any_label = (batch.labels != IGNORED).any()


class SampledPixels(Selection):
    """Pixels at indices of the flattened labels [B, H, W]; `embeds` if the term reads their embeddings."""

    def __init__(self, batch: Batch, indices: Tensor, embeds: bool = True):
        labels = batch.labels.flatten()[indices]
        self.any_label, self.indices, self.size = (labels != IGNORED).any(), indices, batch.labels.shape[1:]
        self.embeds = embeds
        super().__init__(batch._replace(labels=labels.clamp_min(0)))
        self.rows = EXAMPLES._replace(pool=self.values)

    def outputs(self, outputs: ModelOutputs) -> ModelOutputs:
        """Read logits and embedding at the pixels."""
        reads = self.embeds and outputs.embedding_or_none is not None
        embedding = self.values(outputs.embedding) if reads else None
        return super().outputs(outputs)._replace(embedding_or_none=embedding)

    def logits(self, logits: Tensor) -> Tensor:
        """Read maps of logits at the pixels. [B, C, h, w] -> [R, C]."""
        return self.values(logits)

    def values(self, features: Tensor, source: Tensor | None = None) -> Tensor:
        """Read maps of any size at the pixels, bilinearly, without resizing them. [B, D, h, w] -> [R, D].

        Equal to `F.interpolate(maps, size, mode="bilinear", align_corners=False)` at these pixels.
        """
        height, width = self.size
        image, pixel = self.indices // (height * width), self.indices % (height * width)
        flat = features.movedim(1, -1)
        y, x = pixel // width, pixel % width
        if features.shape[2:] == self.size:
            return flat[image, y, x]
        rows = _neighbors(y, height, features.shape[2], flat.dtype)
        columns = _neighbors(x, width, features.shape[3], flat.dtype)
        upper, lower = (
            torch.lerp(flat[image, row, columns.first], flat[image, row, columns.second], columns.share)
            for row in (rows.first, rows.second)
        )
        return torch.lerp(upper, lower, rows.share)


class PixelRows(ExampleRows):
    """Each pixel with a label is a row; labels are [B, H, W], logits [B, C, h, w] of any size."""

    kind = "pixels"
    every, sampled = AllPixels, SampledPixels  # selections of all rows, and of some
    most = PIXELS  # that a distillation reads

    def count(self, batch: int) -> int:
        """Return the number of pixels that a distillation reads."""
        return self.most

    def compared(self, batch: int) -> int:
        """Return the number of pixels that are compared with one another."""
        return PAIRED_PIXELS

    def row_shape(self, name: str, shape: Size) -> Size:
        """Convert the shapes of logits and of an embedding to those of the pixels that are read."""
        return Size((self.most, channels(shape))) if name in ("logits", "embedding") else shape

    def require(self, term: LossTerm, name: str, text: str) -> None:
        """Raise `UserError` for a term that compares images, or pixels of another view."""
        views = [view.name for view in term.views if view.source or view.transform]
        if term.supports_pixels and not term.uses_index and not views:
            self._require_maps(term, name, text)
            return
        raise UserError(
            f"{text} compares whole examples or several views of one (term {name!r}), but here each "
            f"{self.kind.removesuffix('s')} is classified; use a method that reads one view, such as kd(), dsr(), "
            "csd() or drg()"
        )

    def _require_maps(self, term: LossTerm, name: str, text: str) -> None:
        taps = [tap for each in term.taps for tap in self.anatomy.expand_tap(each) if tap != "embedding"]
        flat = [tap for tap in taps if not self.has_rows(self.anatomy.stage(tap).shape)]
        if (term.uses_labels or term.reads_maps) and flat:
            raise UserError(
                f"{text} classifies the {self.kind} of {flat[0]!r} (term {name!r}), but {self.anatomy.model} has "
                f"{[*self.anatomy.stage(flat[0]).shape]} there; tap a stage with a vector for each, or use a method "
                "that reads only logits"
            )

    def labeled(self, labels: Tensor) -> Tensor | None:
        """Count the rows with a label. -> []."""
        return (labels != IGNORED).sum()

    def accuracy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the share of labeled pixels whose prediction is right. [B, C, h, w], [B, H, W] -> []."""
        known = labels != IGNORED
        guess = resize(logits, labels.shape[1:]).argmax(dim=1)
        return ((guess == labels) & known).sum() / known.sum().clamp_min(1)

    def has_rows(self, shape: Size) -> bool:
        """Return True for a map [B, D, H, W]: other features have no value at a pixel."""
        return len(shape) == 4

    def select(self, batch: Batch, term: LossTerm, progress: Progress, task: bool) -> Selection:
        """Select all pixels for a task that leaves out those without a label, labelled ones for another term."""
        if term.reads_maps:
            return WholeMaps(batch)
        if task and term.ignores_unlabeled:
            return self.every(batch)
        if task:
            return self.sampled(batch, labeled_indices(batch.labels), _reads_embedding(term))
        count = PAIRED_PIXELS if term.reduction == "batch" else self.most
        return self.sampled(batch, sample_labeled(batch.labels, count, progress.step), _reads_embedding(term))


def _reads_embedding(term: LossTerm) -> bool:
    return "embedding" in {*term.requires, *(tap for view in term.views for tap in view.taps)}


class _Neighbors(NamedTuple):
    """Neighboring positions on a resized side, for bilinear interpolation."""

    first: Tensor  # [R]
    second: Tensor  # [R]
    share: Tensor  # [R, 1] of the second


def _neighbors(positions: Tensor, side: int, resized: int, dtype: torch.dtype) -> _Neighbors:
    exact = ((positions.to(dtype) + 0.5) * resized / side - 0.5).clamp(0, resized - 1)
    first = exact.long()
    return _Neighbors(first, (first + 1).clamp(max=resized - 1), (exact - first)[:, None])


def sample_labeled(labels: Tensor, count: int, step: Tensor) -> Tensor:
    """Choose labeled pixels, evenly spread, others at each step, as flat indices. [B, H, W] -> [count].

    Some are chosen twice where fewer have a label. No random stream is used, and no shape depends on the labels.
    """
    known = (labels.flatten() != IGNORED).cumsum(0)
    numbers = torch.arange(count, device=labels.device)
    spread = (numbers * GOLDEN + step.to(numbers) * NEXT) % 2**32
    wanted = (spread * known[-1] >> 32) + 1  # the first place with a label has number 1
    return torch.searchsorted(known, wanted).clamp(max=len(known) - 1)


def labeled_indices(labels: Tensor) -> Tensor:
    """Return the indices of labeled pixels, or one index if there are none; waits for the device. -> [R]."""
    indices = (labels.flatten() != IGNORED).nonzero()[:, 0]
    return indices if len(indices) else indices.new_zeros(1)
