"""Evaluation of one network by metric names, with as few passes over the data as possible."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches

import torch
from torch import nn

from selfdistill.data.kinds import (
    AnyAugmentation,
    AnySplits,
    augmentation_for,
    example_inputs,
    task_of_splits,
    training_size,
)
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.inputs import to_device
from selfdistill.metrics.adversarial import EPSILONS
from selfdistill.metrics.catalog import BASIC, METRICS, of_task
from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.inputs import checked_logits
from selfdistill.metrics.model import EvaluatedModel, eval_mode
from selfdistill.metrics.values import MetricValues
from selfdistill.task import SEGMENT, TaskName


def evaluate(
    model: nn.Module,
    splits: AnySplits,
    *,
    metrics: str | Sequence[str] = "basic",
    seed: int = 0,
    ood: AnySplits | None = None,
    augment: AnyAugmentation | None = None,
    classifier: str | None = None,
    epsilons: Sequence[float] = EPSILONS,
    device: torch.device | str | None = None,
    batch_size: int = 512,
    on_start: Callable[[str], object] = str,
    on_result: Callable[[str, MetricValues], object] = lambda name, values: None,
) -> dict[str, MetricValues]:
    """Evaluate a network on the test images. Return numbers by metric name, ready for JSON.

    `metrics` names entries of `METRICS`; "basic" means accuracy and calibration, or the metrics of
    pixels or tags; "all" every metric that this
    model and these arguments allow. Images are normalized by `augment`, by default with the mean and standard
    deviation of `splits`. `ood` are images of other classes; `epsilons` are the sizes of the attacks in units of
    1/255; `seed` draws their random starts and the corruptions. `on_start(name)` is called before each metric,
    `on_result(name, values)` after it. The device is the model's by default, and the model keeps its train or
    eval mode. Raises `UserError` for an unknown name, and for a named metric whose requirements are not met.

    >>> from selfdistill import data, metrics, models
    >>> splits = data.load("fake:classes=10,size=8")
    >>> list(metrics.evaluate(models.create("resnet8", 10, size=8), splits, metrics="accuracy")["accuracy"])
    ['top1', 'top5', 'nll']
    """
    evaluated = EvaluatedModel(model, augment or augmentation_for(splits, None), _device(model, device), batch_size)
    context = _context(evaluated, splits, metrics, ood, classifier, seed, epsilons, on_start)
    values: dict[str, MetricValues] = {}
    for name in _available(context, metrics):
        on_start(name)
        values[name] = _compute(name)(context)
        on_result(name, values[name])
    return values


def available_metrics(
    model: nn.Module,
    splits: AnySplits,
    *,
    metrics: str | Sequence[str] = "basic",
    ood: AnySplits | None = None,
    augment: AnyAugmentation | None = None,
    classifier: str | None = None,
    epsilons: Sequence[float] = EPSILONS,
) -> list[str]:
    """List the metrics that `evaluate` would compute, with its errors; costs a few passes of two images.

    >>> from selfdistill import data, metrics, models
    >>> metrics.available_metrics(models.create("resnet8", 10, size=8), data.load("fake:size=8"))
    ['accuracy', 'calibration', 'balance']
    """
    evaluated = EvaluatedModel(model, augment or augmentation_for(splits, None), _device(model, None))
    return _available(_context(evaluated, splits, metrics, ood, classifier, 0, epsilons, str), metrics)


def resolve_metric_names(metrics: str | Sequence[str], task: TaskName | None = None) -> dict[str, bool]:
    """Resolve "basic", "all" and names, in the order of `METRICS`: True where a metric was named explicitly.

    With a task, "basic" and "all" are those that measure it. Raises `UserError` for an unknown name.

    >>> resolve_metric_names(["basic", "knn"], "classify")
    {'accuracy': True, 'calibration': True, 'balance': True, 'knn': True}
    """
    words = [metrics] if isinstance(metrics, str) else list(metrics)
    for word in words:
        if word not in {"basic", "all", *METRICS}:
            near = " or ".join(map(repr, get_close_matches(word, METRICS, n=2)))
            hint = f"did you mean {near}? " if near else ""
            raise UserError(f"there is no metric {word!r}; {hint}there are basic, all, {', '.join(METRICS)}")
    named = {*words, *(_of(BASIC, task) if "basic" in words else ())}
    offered = {*_of(tuple(METRICS), task)} if "all" in words else set()
    return {name: name in named for name in METRICS if name in named | offered}


def _of(names: Sequence[str], task: TaskName | None) -> Sequence[str]:
    return names if task is None else of_task(names, task)


def _compute(name: str) -> Callable[[EvaluationContext], MetricValues]:
    module, function = METRICS[name].function.split(".")
    found: Callable[[EvaluationContext], MetricValues] = getattr(
        importlib.import_module(f"selfdistill.metrics.{module}"), function
    )
    return found


def _device(model: nn.Module, device: torch.device | str | None) -> torch.device:
    return torch.device(device or next(model.parameters()).device)


def _context(
    model: EvaluatedModel,
    splits: AnySplits,
    metrics: str | Sequence[str],
    ood: AnySplits | None,
    classifier: str | None,
    seed: int,
    epsilons: Sequence[float],
    on_start: Callable[[str], object],
) -> EvaluationContext:
    names = resolve_metric_names(metrics)
    _require_fit(model, splits, ood, epsilons)
    if any(METRICS[name].needs_embedding for name in names):
        model = _with_anatomy(model, splits, classifier)
    return EvaluationContext(model, splits, ood, seed, tuple(epsilons), on_start)


def _available(context: EvaluationContext, metrics: str | Sequence[str]) -> list[str]:
    """List the metrics whose requirements are met; `UserError` where one was named explicitly and they are not."""
    names = resolve_metric_names(metrics, task_of_splits(context.splits))
    missing = {name: context.missing(METRICS[name]) for name in names}
    if wrong := [f"the metric {name} {missing[name]}" for name, named in names.items() if named and missing[name]]:
        raise UserError("; ".join(wrong))
    return [name for name, lack in missing.items() if not lack]


def _with_anatomy(model: EvaluatedModel, splits: AnySplits, classifier: str | None) -> EvaluatedModel:
    """Return the model with its anatomy, if it has an embedding."""
    example = to_device(example_inputs(splits.test, 2, model.augment), model.device)
    found = read_anatomy(model.model, example, classifier)
    return replace(model, anatomy=found if found.classifier else None)


def _require_fit(model: EvaluatedModel, splits: AnySplits, ood: AnySplits | None, epsilons: Sequence[float]) -> None:
    """Raise `UserError` where model, data and settings do not fit; costs a pass of two images."""
    with eval_mode(model.model), torch.no_grad():
        logits = model.outputs(to_device(example_inputs(splits.test, 2, model.augment), model.device))
    classes = logits.shape[1] if logits.dim() == 4 else checked_logits(logits).shape[1]
    if (logits.dim() == 4) != (task_of_splits(splits) == SEGMENT):
        raise UserError(
            f"the model gives logits {list(logits.shape)}, which do not fit the task {task_of_splits(splits)} of "
            f"{splits.name}: maps [B, C, H, W] classify pixels, and rows [B, C] images or their tags"
        )
    if classes != len(splits.classes):
        raise UserError(f"the model has {classes} classes, but {splits.name} has {len(splits.classes)}")
    if ood is not None and (found := training_size(ood, None)) != (wanted := training_size(splits, None)):
        raise UserError(
            f"the images of {ood.name} have {found[0]} pixels a side, those of {splits.name} {wanted[0]}; load them "
            f"with size={wanted[0]}"
        )
    if wrong := [each for each in epsilons if not 0 < each <= 255]:
        raise UserError(f"an epsilon is in units of 1/255, above 0 and at most 255, but one is {wrong[0]:g}")
