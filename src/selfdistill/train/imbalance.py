"""Class weights and balanced epochs of a run: what they fit, and the weights of its training examples."""

from dataclasses import replace
from pathlib import Path

import torch

from selfdistill.data.class_weights import class_weights, example_weights
from selfdistill.data.kinds import AnyImages, AnySplits
from selfdistill.data.masked_images import MaskedImages, MaskedSplits
from selfdistill.data.requirements import ClassGroups
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.records import RunInfo, read_info
from selfdistill.step.example_weights import require_weightable
from selfdistill.task import CLASSIFY
from selfdistill.train.config import RunConfig


def require_balanceable(config: RunConfig, method: Method) -> None:
    """Raise `UserError` for class weights or balanced epochs with a task or a method that they do not fit."""
    for name, chosen in (("--class-weights", config.class_weights is not None), ("--balanced", config.balanced)):
        if chosen and config.resolved_task.name != CLASSIFY:
            raise UserError(
                f"{name} is for examples of one class, but {config.data} is of the task {config.resolved_task.name!r}; "
                "leave it out"
            )
    if config.class_weights is not None:
        require_weightable(method.all_terms, method.text)
    if config.balanced:
        _require_free_order(method)


def _require_free_order(method: Method) -> None:
    if isinstance(method.needs.get("order"), ClassGroups):
        raise UserError(
            f"{method.text} groups the rows of a batch by class, so that --balanced cannot draw them; leave it out, or "
            "use --class-weights auto"
        )
    if remembering := [name for name, term in method.all_terms.items() if term.uses_index]:
        raise UserError(
            f"{method.text} keeps a memory of each example (term {remembering[0]!r}), and a balanced batch may hold "
            "one twice; leave --balanced out, or use --class-weights auto"
        )


def weights_by_class(config: RunConfig, splits: AnySplits) -> dict[str, float] | None:
    """Return the weight of each class in losses of labels, by name; None where all are equal."""
    if config.class_weights is None or isinstance(splits, MaskedSplits):
        return None
    found = class_weights(config.class_weights, splits.train.labels, splits.classes)
    return dict(zip(splits.classes, found.tolist(), strict=True))


def weighted_images(config: RunConfig, method: Method, splits: AnySplits) -> AnyImages:
    """Return the training images with the weights of their classes, times their own.

    Raises `UserError` for images with weights of their own and a method that they do not reach.
    """
    images, by_class = splits.train, weights_by_class(config, splits)
    if isinstance(images, MaskedImages):
        return images
    if images.weights is not None:
        require_weightable(method.all_terms, method.text)
    own = None if by_class is None else torch.tensor([*by_class.values()])
    return replace(images, weights=example_weights(images.labels, images.weights, own))


def require_same_weights(folder: Path, info: RunInfo) -> None:
    """Raise `UserError` if the class weights have changed since the run in the folder began."""
    then, now = read_info(folder).get("class_weights"), info.get("class_weights")
    if then != now:
        raise UserError(
            f"the class weights have changed since the run in {folder} began, from {then} to {now}; restore the file, "
            "or choose another --out"
        )
