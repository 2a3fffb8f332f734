"""Cells of a table of predictions: of classes, tags and masks."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.data.palette import write_mask
from selfdistill.features.logits import logits_of
from selfdistill.metrics.ood import negative_energy
from selfdistill.predict.decoded_images import DecodedImage
from selfdistill.predict.finished_run import FinishedRun
from selfdistill.predict.transform import image_transform
from selfdistill.predict.views import Views, mean_over_views
from selfdistill.task import SEGMENT, TAG, TaskName

TOP = 5
HALF = 0.5  # probability from which a tag is predicted
OOD = "negative_energy"  # larger for images that resemble those of training


def columns_of(task: TaskName, classes: Sequence[str]) -> list[str]:
    """Return the names of the columns that depend on the task and the classes.

    >>> columns_of("classify", ["cat", "dog"])
    ['predicted', 'probability', 'top2', 'top2_probability', 'negative_energy']
    """
    if task == SEGMENT:
        return ["mask"]
    if task == TAG:
        return ["predicted", *classes]
    ranks = range(2, min(TOP, len(classes)) + 1)
    return ["predicted", "probability", *(f"top{k}{what}" for k in ranks for what in ("", "_probability")), OOD]


def class_cells(found: Tensor, classes: Sequence[str]) -> Iterator[list[str]]:
    """Yield the most probable classes, their probabilities and the negative energy. [B, C + 1], as `with_energy`."""
    shares, scores = found[:, :-1], found[:, -1]
    order = shares.topk(min(TOP, shares.shape[1]))
    for values, ids, score in zip(order.values.tolist(), order.indices.tolist(), scores.tolist(), strict=True):
        ranks = [(classes[k], f"{value:.6f}") for k, value in zip(ids, values, strict=True)]
        yield [*(cell for rank in ranks for cell in rank), f"{score:.6g}"]


def tag_cells(found: Tensor, tags: Sequence[str]) -> Iterator[list[str]]:
    """Yield the tags that are present, and the probability of each. [B, T]."""
    for shares in found.tolist():
        present = (name for name, share in zip(tags, shares, strict=True) if share > HALF)
        yield ["|".join(present), *(f"{share:.6f}" for share in shares)]


def with_energy(logits: Tensor) -> Tensor:
    """Return probabilities, and last the negative energy. [B, C] -> [B, C + 1] float64."""
    return torch.cat([logits.double().softmax(dim=1), negative_energy(logits)[:, None]], dim=1)


class Cells:
    """Columns of a run's predictions, and their cells for batches of images. Masks are written to `folder`."""

    def __init__(self, finished: FinishedRun, views: Views, folder: Path):
        self.finished, self.views, self.folder = finished, views, folder
        self.transform, self.masks = image_transform(finished.info), 0

    @property
    def columns(self) -> list[str]:
        """Names of the columns that depend on the run."""
        return columns_of(self.finished.task, self.finished.classes)

    @torch.no_grad()
    def of(self, images: Sequence[DecodedImage]) -> Iterator[list[str]]:
        """Yield the cells of images that were read."""
        if self.finished.task == SEGMENT:
            yield from (self._mask(each) for each in images)
        elif images:
            pixels = torch.stack([each.pixels for each in images if each.pixels is not None])
            yield from self._tags(pixels) if self.finished.task == TAG else self._classes(pixels)

    def _classes(self, pixels: Tensor) -> Iterator[list[str]]:
        return class_cells(self._mean(pixels, lambda view: with_energy(self._logits(view))), self.finished.classes)

    def _tags(self, pixels: Tensor) -> Iterator[list[str]]:
        return tag_cells(self._mean(pixels, lambda view: self._logits(view).sigmoid()), self.finished.classes)

    def _mask(self, image: DecodedImage) -> list[str]:
        assert image.pixels is not None  # only images that were read are predicted
        shares = self._map(image.pixels[None], image.size)
        if self.views == "flip":
            shares = shares + self._map(image.pixels[None].flip(-1), image.size).flip(-1)
        name = f"{self.masks:06d}.png"
        write_mask(self.folder / name, shares.argmax(dim=1)[0])
        self.masks += 1
        return [name]

    def _map(self, pixels: Tensor, size: tuple[int, int]) -> Tensor:
        """Probabilities of each pixel in the size of the image's file. [1, 3, H, W] -> [1, C, *size]."""
        return F.interpolate(self._logits(pixels), size, mode="bilinear").softmax(dim=1)

    def _mean(self, pixels: Tensor, predict: Callable[[Tensor], Tensor]) -> Tensor:
        assert self.transform.size is not None  # of all tasks but masks
        return mean_over_views(pixels, self.views, self.transform.size, predict)

    def _logits(self, pixels: Tensor) -> Tensor:
        inputs = self.transform.normalize(pixels.to(self.finished.device))
        return logits_of(self.finished.model(inputs)).float().cpu()
