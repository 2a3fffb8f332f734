"""All that is measured of one network, by name, with as few passes as will do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from selfdistill.data import Augmentation, Splits, default_augmentation
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.metrics.accuracy import rightness
from selfdistill.metrics.adversarial import EPSILONS, fgsm_accuracy, pgd_accuracy
from selfdistill.metrics.calibration import calibration
from selfdistill.metrics.corruption import corrupted_accuracy
from selfdistill.metrics.embedding_variance import class_variance
from selfdistill.metrics.knn import knn
from selfdistill.metrics.latency import inference
from selfdistill.metrics.model import EvaluatedModel, Predictions, evaluating
from selfdistill.metrics.ood import outside
from selfdistill.metrics.per_class import by_class
from selfdistill.metrics.retrieval import recall_at_1
from selfdistill.metrics.selective import selective_risk


@dataclass(frozen=True, eq=False)
class EvaluationContext:
    """A network and what it is measured on. The test images are passed once for all that read predictions."""

    subject: EvaluatedModel
    splits: Splits
    ood: Splits | None
    seed: int
    epsilons: Sequence[float]  # of the attacks, in steps of 255
    tell: Callable[[str], object]

    @cached_property
    def test(self) -> Predictions:
        """What the network says of the test images."""
        return self.subject.predictions(self.splits.test)

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """The test images' logits [N, C] and labels [N]."""
        return self.test.logits, self.test.labels

    @property
    def points(self) -> tuple[Tensor, Tensor]:
        """The test images' embeddings [N, D] and labels [N]."""
        return self.test.embeddings, self.test.labels

    def lacks(self, measure: "Measure") -> str:
        """What a measure needs and does not get; nothing where all is there."""
        if measure.compares and self.ood is None:
            return "compares with images of other classes; name them: --ood DATA, or evaluate(…, ood=splits)"
        if measure.embeds and self.subject.anatomy is None:
            kind = type(self.subject.model).__name__
            return f"reads the embedding, and no one module makes the logits of {kind}; name it: --classifier PATH"
        return ""


@dataclass(frozen=True)
class Measure:
    """A group of numbers, and what it takes."""

    take: Callable[[EvaluationContext], Any]
    embeds: bool = False  # reads embeddings
    compares: bool = False  # reads images of other classes


def _knn(exam: EvaluationContext) -> dict[str, float]:
    known = exam.subject.predictions(exam.splits.train)
    return {"knn": knn(*exam.points, known.embeddings, known.labels, device=exam.subject.device)}


def _outside(exam: EvaluationContext) -> dict[str, Any]:
    assert exam.ood is not None  # `lacks` has said so
    strange = exam.subject.predictions(exam.ood.test)
    return {"data": exam.ood.name, "images": len(strange.labels), **outside(exam.test.logits, strange.logits)}


MEASURES = {
    "accuracy": Measure(lambda exam: rightness(*exam.rows)),
    "calibration": Measure(lambda exam: calibration(*exam.rows)),
    "selective": Measure(lambda exam: selective_risk(*exam.rows)),
    "recall": Measure(lambda exam: {"recall_at_1": recall_at_1(*exam.points, exam.subject.device)}, embeds=True),
    "knn": Measure(_knn, embeds=True),
    "spread": Measure(lambda exam: class_variance(*exam.points), embeds=True),
    "classes": Measure(lambda exam: by_class(*exam.rows, exam.splits.classes)),
    "fgsm": Measure(lambda exam: fgsm_accuracy(exam.subject, exam.splits.test, exam.epsilons)),
    "pgd": Measure(lambda exam: pgd_accuracy(exam.subject, exam.splits.test, exam.epsilons, exam.seed)),
    "corruption": Measure(lambda exam: corrupted_accuracy(exam.subject, exam.splits.test, exam.seed, exam.tell)),
    "outside": Measure(_outside, compares=True),
    "cost": Measure(lambda exam: inference(exam.subject, exam.splits.test)),
}
BASIC = ("accuracy", "calibration")


def evaluate(
    model: nn.Module,
    splits: Splits,
    *,
    which: str | Sequence[str] = "basic",
    seed: int = 0,
    ood: Splits | None = None,
    augment: Augmentation | None = None,
    classifier: str | None = None,
    epsilons: Sequence[float] = EPSILONS,
    device: torch.device | str | None = None,
    batch_size: int = 512,
    tell: Callable[[str], object] = str,
    keep: Callable[[str, Any], object] = lambda name, numbers: None,
) -> dict[str, Any]:
    """Measure a network on the test images; give numbers by group, as JSON knows them.

    `which` names groups of `MEASURES`; "basic" is accuracy and calibration, "all" whatever is possible with
    this model and these arguments. The images are normalised as `augment` says, by default as those of
    `splits` usually are. `ood` are images of other classes, `epsilons` of the attacks in steps of 255, `seed`
    is of random starts and corruptions; `tell` hears the name of each measure before it is taken, `keep` its name
    and numbers after. The device is the model's by default. The model is left as it was. Raises `UserError` for
    names that are none, and for what a named measure needs and does not get.
    """
    subject = EvaluatedModel(model, augment or default_augmentation(splits), _device(model, device), batch_size)
    exam, found = _exam(subject, splits, which, ood, classifier, seed, epsilons, tell), {}
    for name in _had(exam, which):
        tell(name)
        found[name] = MEASURES[name].take(exam)
        keep(name, found[name])
    return found


def available_metrics(
    model: nn.Module,
    splits: Splits,
    *,
    which: str | Sequence[str] = "basic",
    ood: Splits | None = None,
    classifier: str | None = None,
    epsilons: Sequence[float] = EPSILONS,
) -> list[str]:
    """The measures that `evaluate` would take, and its errors; costs a few passes of two images."""
    subject = EvaluatedModel(model, default_augmentation(splits), _device(model, None))
    return _had(_exam(subject, splits, which, ood, classifier, 0, epsilons, str), which)


def resolve_metric_names(which: str | Sequence[str]) -> dict[str, bool]:
    """The measures asked for in the order of `MEASURES`, and whether each was named itself. Raises `UserError`."""
    words = [which] if isinstance(which, str) else list(which)
    for word in words:
        if word not in {"basic", "all", *MEASURES}:
            near = " or ".join(map(repr, get_close_matches(word, MEASURES, n=2)))
            hint = f"did you mean {near}? " if near else ""
            raise UserError(f"there is no measure {word!r}; {hint}there are basic, all, {', '.join(MEASURES)}")
    named = {*words, *(BASIC if "basic" in words else ())}
    return {name: name in named for name in MEASURES if name in named or "all" in words}


def _device(model: nn.Module, device: torch.device | str | None) -> torch.device:
    return torch.device(device or next(model.parameters()).device)


def _exam(
    subject: EvaluatedModel,
    splits: Splits,
    which: str | Sequence[str],
    ood: Splits | None,
    classifier: str | None,
    seed: int,
    epsilons: Sequence[float],
    tell: Callable[[str], object],
) -> EvaluationContext:
    names = resolve_metric_names(which)
    _require_fit(subject, splits, ood, epsilons)
    if any(MEASURES[name].embeds for name in names):
        subject = _with_anatomy(subject, splits, classifier)
    return EvaluationContext(subject, splits, ood, seed, tuple(epsilons), tell)


def _had(exam: EvaluationContext, which: str | Sequence[str]) -> list[str]:
    """The names of what can be measured; `UserError` where something was named itself and cannot."""
    lacks = {name: exam.lacks(MEASURES[name]) for name in resolve_metric_names(which)}
    if wrong := [
        f"the measure {name} {lacks[name]}"
        for name, named in resolve_metric_names(which).items()
        if named and lacks[name]
    ]:
        raise UserError("; ".join(wrong))
    return [name for name, lack in lacks.items() if not lack]


def _with_anatomy(subject: EvaluatedModel, splits: Splits, classifier: str | None) -> EvaluatedModel:
    """The subject, its anatomy known if it has an embedding."""
    example = subject.augment.normalize(splits.test.images[:2].to(subject.device))
    found = read_anatomy(subject.model, example, classifier)
    return replace(subject, anatomy=found if found.classifier else None)


def _require_fit(subject: EvaluatedModel, splits: Splits, ood: Splits | None, epsilons: Sequence[float]) -> None:
    """Raise `UserError` where model, data and settings do not fit; costs a pass of two images."""
    with evaluating(subject.model), torch.no_grad():
        classes = subject.logits(splits.test.images[:2].to(subject.device)).shape[1]
    if classes != len(splits.classes):
        raise UserError(f"the model tells {classes} classes apart, but {splits.name} has {len(splits.classes)}")
    if ood is not None and ood.test.size != splits.test.size:
        raise UserError(
            f"the images of {ood.name} have {ood.test.size} pixels a side, those of {splits.name} "
            f"{splits.test.size}; load them with size={splits.test.size}"
        )
    if wrong := [each for each in epsilons if not 0 < each <= 255]:
        raise UserError(f"an epsilon is in steps of 255, above 0 and at most 255, but one is {wrong[0]:g}")
