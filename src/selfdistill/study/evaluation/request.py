"""A request for metrics of finished runs: their names, and the images to evaluate on."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from torch import Tensor

from selfdistill.data import load
from selfdistill.data.images import Splits
from selfdistill.data.kinds import AnySplits, augmentation_for, image_channels, task_of_splits, training_size
from selfdistill.data.masked_images import MaskedImages
from selfdistill.data.pixel_format import BYTE
from selfdistill.data.subsets import stratified, uniform
from selfdistill.errors import UserError
from selfdistill.metrics import available_metrics, resolve_metric_names
from selfdistill.metrics.adversarial import EPSILONS
from selfdistill.study.engine.job import load_splits
from selfdistill.study.evaluation.store import MetricsFile
from selfdistill.task import CLASSIFY, TaskName
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import create_for
from selfdistill.train.run import with_data

SEED = 0  # of the subset of test images, the same for all runs


@dataclass(frozen=True)
class EvaluationRequest:
    """Metrics to compute, and the test images and OOD images to compute them on.

    Raises `UserError` for an unknown metric, or for a limit below 1.
    """

    metrics: tuple[str, ...] = ("basic",)
    ood: str | None = None
    data: str | None = None  # source of other test images than the run's own
    limit: int | None = None  # of test images and of OOD images, as stratified subsets
    epsilons: tuple[float, ...] = EPSILONS
    classifier: str | None = None
    accelerator: str = "auto"
    modules: tuple[str, ...] = ()  # from which methods named in a run's files may be imported
    skip_unreadable: bool = False  # of `data` and `ood`; a run's own images as in its training

    def __post_init__(self) -> None:
        resolve_metric_names(self.metric_names)
        if self.limit is not None and self.limit < 1:
            raise UserError(f"the number of test images must be 1 or more, but is {self.limit}")

    @property
    def metric_names(self) -> list[str]:
        """Names for `metrics.evaluate`, with `outside` if OOD images are given."""
        return [*self.metrics, *(["outside"] if self.ood else [])]

    def splits(self, config: RunConfig, size: int) -> AnySplits:
        """Load the images at `size` pixels, without label noise. Raises `UserError` if they cannot be loaded."""
        clean = replace(config, label_noise=0.0)
        if self.data is None:
            return self._limited(load_splits(clean))
        other = load_splits(replace(with_data(clean, size, self.data), skip_unreadable=self.skip_unreadable))
        for note in other.notes:
            warnings.warn(note, stacklevel=2)
        return self._limited(other)

    def empty_file(self, config: RunConfig, size: int) -> MetricsFile:
        """Create a metrics file of the full test set, without metrics."""
        splits = replace(self, limit=None).splits(config, size)
        files = splits.fingerprint
        return MetricsFile(splits.name, len(splits.test), digest=files and files["digest"])

    def ood_splits(self, size: int, channels: int | None = None, bits: int = BYTE) -> AnySplits | None:
        """Load the OOD images; None if none are requested. Raises `UserError` if they cannot be loaded."""
        return self._limited(_loaded(self.ood, size, self.skip_unreadable, channels, bits)) if self.ood else None

    def remaining(self, stored: MetricsFile | None, task: TaskName) -> list[str]:
        """Return the requested metrics of a task that are not stored for the requested images."""
        return [name for name in self._names(task) if stored is None or not self._is_stored(name, stored)]

    def require_available(self, config: RunConfig, splits: AnySplits) -> None:
        """Raise `UserError` if a run of this configuration could not be evaluated; runs a few passes of two images."""
        size = training_size(splits, config.size)[0]
        available_metrics(
            create_for(config.model, config, splits),
            self.splits(config, size),
            metrics=self.metric_names,
            ood=self.ood_splits(size, image_channels(splits), config.bits),
            augment=augmentation_for(splits, config.size),
            classifier=self.classifier or config.classifier,
            epsilons=self.epsilons,
        )

    def _names(self, task: TaskName) -> Iterator[str]:
        """Return the requested metrics; "all" includes `outside` only with OOD images."""
        names = resolve_metric_names(self.metric_names, task)
        return (name for name, named in names.items() if named or name != "outside")

    def _is_stored(self, name: str, stored: MetricsFile) -> bool:
        numbers = stored.groups.get(name)
        wanted = stored.images if name == "cost" else min(self.limit or stored.images, stored.images)
        if numbers is None or stored.images_of(name) != wanted:
            return False
        if name in ("fgsm", "pgd"):
            return {f"{each:g}/255" for each in self.epsilons} <= set(numbers)
        return name != "outside" or numbers["data"] == self.ood

    def _limited(self, splits: AnySplits) -> AnySplits:
        """Reduce the test set to the requested number of images, class-stratified."""
        if self.limit is None or self.limit >= len(splits.test):
            return splits
        test: Any = splits.test.rows(self._chosen(splits))
        return replace(splits, test=test)

    def _chosen(self, splits: AnySplits) -> Tensor:
        """Choose test rows: stratified for classes, evenly for tags and pixels."""
        count = self.limit or len(splits.test)
        if task_of_splits(splits) != CLASSIFY or isinstance(splits.test, MaskedImages):
            return uniform(len(splits.test), count, SEED)
        classes = len(splits.test.labels.unique())
        if count < classes:
            raise UserError(
                f"{count} test images cannot include each of {classes} classes; evaluate on {classes} or more"
            )
        return stratified(splits.test.labels, count, SEED)


@lru_cache(maxsize=1)
def _loaded(spec: str, size: int, skip_unreadable: bool, channels: int | None, bits: int) -> Splits:
    return load(spec, size=size, skip_unreadable=skip_unreadable, channels=channels, bits=bits)
