"""A request for metrics of finished runs: their names, and the images to evaluate on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from selfdistill.data import Images, Splits, load
from selfdistill.data.subsets import stratified
from selfdistill.errors import UserError
from selfdistill.metrics import available_metrics, resolve_metric_names
from selfdistill.metrics.adversarial import EPSILONS
from selfdistill.models import create
from selfdistill.study.engine.job import data_of
from selfdistill.study.evaluation.store import MetricsFile
from selfdistill.train.config import RunConfig

SEED = 0  # of the few test images: the same for all runs


@dataclass(frozen=True)
class EvaluationRequest:
    """Measures, the images of other classes that one of them wants, and how many test images are shown.

    Raises `UserError` for a measure that is none and a number of images below 1.
    """

    measures: tuple[str, ...] = ("basic",)
    ood: str | None = None
    data: str | None = None  # other images than the run's own test set
    limit: int | None = None  # test images, and images of other classes, stratified
    epsilons: tuple[float, ...] = EPSILONS
    classifier: str | None = None
    accelerator: str = "auto"
    modules: tuple[str, ...] = ()  # from which methods named in a run's files may be imported

    def __post_init__(self) -> None:
        resolve_metric_names(self.which)
        if self.limit is not None and self.limit < 1:
            raise UserError(f"the test images to measure on must be 1 or more, but are {self.limit}")

    @property
    def which(self) -> list[str]:
        """The names as `measure.evaluate` takes them."""
        return [*self.measures, *(["outside"] if self.ood else [])]

    def splits(self, config: RunConfig, size: int) -> Splits:
        """The images of a run of images of `size` pixels, with right labels. Raises `UserError`."""
        shown = replace(config, label_noise=0.0)
        return self._few(data_of(replace(shown, data=self.data, size=size) if self.data else shown))

    def whole(self, config: RunConfig, size: int) -> MetricsFile:
        """Describe the images before anything is evaluated."""
        splits = replace(self, limit=None).splits(config, size)
        return MetricsFile(splits.name, len(splits.test))

    def strange(self, size: int) -> Splits | None:
        """The images of other classes, if any are named. Raises `UserError`."""
        return self._few(_loaded(self.ood, size)) if self.ood else None

    def left(self, held: MetricsFile | None) -> list[str]:
        """The measures asked for that a run has not, of these images."""
        return [name for name in self._names() if held is None or not self._answered(name, held)]

    def require_answers(self, config: RunConfig, splits: Splits) -> None:
        """Raise `UserError` where a run of this kind could not be measured; costs a few passes of two images."""
        size = splits.train.size
        available_metrics(
            create(config.model, len(splits.classes), size=size),
            self.splits(config, size),
            metrics=self.which,
            ood=self.strange(size),
            classifier=self.classifier or config.classifier,
            epsilons=self.epsilons,
        )

    def _names(self) -> Iterator[str]:
        """The measures that may be had: outside only where images of other classes are named."""
        return (name for name, named in resolve_metric_names(self.which).items() if named or name != "outside")

    def _answered(self, name: str, held: MetricsFile) -> bool:
        numbers = held.groups.get(name)
        wanted = held.images if name == "cost" else min(self.limit or held.images, held.images)
        if numbers is None or held.of(name) != wanted:
            return False
        if name in ("fgsm", "pgd"):
            return {f"{each:g}/255" for each in self.epsilons} <= set(numbers)
        return name != "outside" or numbers["data"] == self.ood

    def _few(self, splits: Splits) -> Splits:
        """Reduce the test set to the requested number of images, class-stratified."""
        if self.limit is None or self.limit >= len(splits.test):
            return splits
        return replace(splits, test=_stratified(splits.test, self.limit))


def _stratified(images: Images, count: int) -> Images:
    classes = len(images.labels.unique())
    if count < classes:
        raise UserError(
            f"{count} test images cannot hold one of each of {classes} classes; measure on {classes} or more"
        )
    return images.rows(stratified(images.labels, count, SEED))


@lru_cache(maxsize=1)
def _loaded(spec: str, size: int) -> Splits:
    return load(spec, size=size)
