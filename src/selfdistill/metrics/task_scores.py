"""The numbers of each task on a set of images: accuracy, IoU of pixels, or precision of tags."""

import torch
from torch import Tensor, nn

from selfdistill.data.kinds import AnyAugmentation, AnyImages
from selfdistill.metrics.accuracy import classification_metrics
from selfdistill.metrics.model import predict_batches
from selfdistill.metrics.segmentation import count_pixels, segmentation_metrics
from selfdistill.metrics.tags import tag_metrics
from selfdistill.task import SEGMENT, TAG, Task

BATCH = 512


def evaluate_task(
    task: Task, model: nn.Module, images: AnyImages, augment: AnyAugmentation, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Compute the numbers of a task over all images, in eval mode; `task.score` names the main one.

    >>> from selfdistill import data, models, task
    >>> splits, model = data.load("fake:size=8"), models.create("resnet8", 10, size=8)
    >>> sorted(evaluate_task(task.TASKS["classify"], model, splits.test, data.default_augmentation(splits)))
    ['ece', 'nll', 'top1', 'top5']
    """
    if task.name == SEGMENT:
        return segmentation_metrics(count_pixels(model, images, augment, device))
    logits, labels = predict_all(model, images, augment, device)
    return tag_metrics(logits, labels) if task.name == TAG else classification_metrics(logits, labels)


def predict_all(
    model: nn.Module, images: AnyImages, augment: AnyAugmentation, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Compute the logits of all images in eval mode; return them with the labels. -> [N, C], [N] or [N, C].

    >>> from selfdistill import data, models
    >>> splits, model = data.load("fake:size=8"), models.create("resnet8", 10, size=8)
    >>> predict_all(model, splits.test, data.default_augmentation(splits))[0].shape
    torch.Size([64, 10])
    """
    parts = [(logits.cpu(), labels.cpu()) for logits, labels in predict_batches(model, images, augment, BATCH, device)]
    logits, labels = (torch.cat(each) for each in zip(*parts, strict=True))
    return logits, labels
