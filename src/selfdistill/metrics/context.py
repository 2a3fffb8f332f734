"""Evaluation context: a network and the data that metrics are computed on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from torch import Tensor

from selfdistill.data import Images
from selfdistill.data.kinds import AnyImages, AnySplits, task_of_splits
from selfdistill.data.pixel_format import BYTE, RGB, PixelFormat
from selfdistill.errors import UserError
from selfdistill.metrics.catalog import Metric
from selfdistill.metrics.model import EvaluatedModel, Predictions

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class EvaluationContext:
    """A network and its evaluation data. All metrics share one pass over the test images."""

    model: EvaluatedModel
    splits: AnySplits
    ood: AnySplits | None
    seed: int
    epsilons: Sequence[float]  # of the attacks, in units of 1/255
    on_start: Callable[[str], object]  # called with a name before each long part

    @cached_property
    def test(self) -> Predictions:
        """Predictions on the test images."""
        return self.model.predictions(self.splits.test)

    def once(self, compute: Callable[["EvaluationContext"], T]) -> T:
        """Return what a function makes of this context; metrics that share it compute it once."""
        if compute not in self._shared:
            self._shared[compute] = compute(self)
        found: T = self._shared[compute]
        return found

    @cached_property
    def _shared(self) -> dict[Callable[["EvaluationContext"], Any], Any]:
        return {}

    @property
    def logits_and_labels(self) -> tuple[Tensor, Tensor]:
        """Logits [N, C] and labels [N] of the test images."""
        return self.test.logits, self.test.labels

    @property
    def embeddings_and_labels(self) -> tuple[Tensor, Tensor]:
        """Embeddings [N, D] and labels [N] of the test images."""
        return self.test.embeddings, self.test.labels

    def missing(self, metric: Metric) -> str:
        """Describe a requirement of a metric that is not met; empty where all are."""
        task = task_of_splits(self.splits)
        if task not in metric.tasks:
            return f"measures the task {' or '.join(metric.tasks)}, but {self.splits.name} is of the task {task}"
        if metric.needs_images and not isinstance(self.splits.test, Images):
            return f"changes or compares images, but {self.splits.name} has tensors"
        if metric.needs_color and (channels := whole_images(self.splits.test).images.shape[1]) != RGB:
            return f"changes colors, but the images of {self.splits.name} are read with {channels} channel(s)"
        if metric.needs_bytes and whole_images(self.splits.test).images.dtype != PixelFormat(bits=BYTE).dtype:
            return f"changes pixels of 8 bits, but the images of {self.splits.name} are read with 16"
        if metric.needs_ood and self.ood is None:
            return "compares with images of other classes; name them: --ood DATA, or evaluate(…, ood=splits)"
        if metric.needs_embedding and self.model.anatomy is None:
            kind = type(self.model.model).__name__
            return (
                f"reads the embedding, and no single module computes the logits of {kind}; name it: --classifier PATH"
            )
        return ""


def whole_images(images: AnyImages) -> Images:
    """Return images with labels of their own. Raises `UserError` for images with masks."""
    if isinstance(images, Images):
        return images
    raise UserError("this metric changes or compares images, but these data are no images with labels of their own")
