"""The numbers of each task on a set of images: accuracy, IoU of pixels, or precision of tags."""

import torch
from torch import Tensor, nn

from selfdistill.data.kinds import AnyAugmentation, AnyImages, evaluation_batches
from selfdistill.features.logits import logits_of
from selfdistill.inputs import call_model
from selfdistill.metrics.accuracy import classification_metrics
from selfdistill.metrics.model import eval_mode
from selfdistill.metrics.segmentation import count_pixels, segmentation_metrics
from selfdistill.metrics.tags import tag_metrics
from selfdistill.task import SEGMENT, TAG, Task


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


@torch.no_grad()
def predict_all(
    model: nn.Module, images: AnyImages, augment: AnyAugmentation, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Compute the logits of all images in eval mode; return them with the labels. -> [N, C], [N] or [N, C].

    >>> from selfdistill import data, models
    >>> splits, model = data.load("fake:size=8"), models.create("resnet8", 10, size=8)
    >>> predict_all(model, splits.test, data.default_augmentation(splits))[0].shape
    torch.Size([64, 10])
    """
    with eval_mode(model):
        parts = [
            (logits_of(call_model(model, batch.inputs)).float().cpu(), batch.labels.cpu())
            for batch in evaluation_batches(images, 512, augment, device)
        ]
    logits, labels = (torch.cat(each) for each in zip(*parts, strict=True))
    return logits, labels
