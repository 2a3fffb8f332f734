"""Segmentation: IoU, pixel accuracy, NLL and calibration by pixel, from counts that are added up over batches."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_confusion_matrix

from selfdistill.data.ignored import IGNORED
from selfdistill.data.kinds import AnyAugmentation, AnyImages
from selfdistill.errors import UserError
from selfdistill.metrics.calibration import BINS, equal_width_bins
from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.model import predict_batches
from selfdistill.metrics.values import ClassRow

PIXEL_BATCH = 16  # images at once, whose maps of logits are large


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """Counts over labelled pixels, to be added over batches and ranks; their size depends on the classes alone."""

    confusion: Tensor  # [C, C] int64 pixels by label and prediction
    bins: Tensor  # [15, 3] float64 by confidence: pixels, sum of confidences, right predictions
    nll: Tensor  # [] float64, sum in nats

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        return PixelCounts(self.confusion + other.confusion, self.bins + other.bins, self.nll + other.nll)


def pixel_counts(logits: Tensor, labels: Tensor) -> PixelCounts:
    """Count the pixels of a batch. logits [B, C, h, w], labels [B, H, W] int64; -100 is a pixel without a label.

    Logits of another size are resized bilinearly to the labels. Images are counted one by one, in float64. Raises
    `UserError` for other shapes, labels that are no class, and logits of labelled pixels that are not finite.

    >>> logits = torch.eye(2)[:, [0, 0, 1]].reshape(1, 2, 1, 3)  # predictions 0, 0, 1
    >>> pixel_counts(logits, torch.tensor([[[0, 1, -100]]])).confusion
    tensor([[1, 0],
            [1, 0]])
    """
    _require_maps(logits, labels)
    labels = labels.long()
    _require_classes(labels, logits.shape[1])
    return reduce(operator.add, map(_image_counts, logits.detach(), labels))


def count_pixels(
    model: nn.Module, images: AnyImages, augment: AnyAugmentation, device: torch.device | str = "cpu"
) -> PixelCounts:
    """Count the pixels of all images by label and prediction, in eval mode.

    >>> from selfdistill import data, models
    >>> splits = data.load_masks("shapes:segment,size=32,train=4,test=2")
    >>> augment = data.default_segmentation_augmentation(splits, 32)
    >>> count_pixels(nn.Conv2d(3, 8, 1), splits.test, augment).confusion.shape
    torch.Size([8, 8])
    """
    found = predict_batches(model, images, augment, PIXEL_BATCH, device)
    return reduce(operator.add, (pixel_counts(logits, labels) for logits, labels in found))


def segmentation_metrics(counts: PixelCounts) -> dict[str, float]:
    """Compute mean IoU, pixel accuracy, mean class accuracy and ECE in percent, and NLL in nats.

    "classes" is the number of classes in the mean IoU. Raises `UserError` where no pixel has a label.

    >>> logits = torch.eye(2)[:, [0, 0, 1]].reshape(1, 2, 1, 3) * 1000
    >>> segmentation_metrics(pixel_counts(logits, torch.tensor([[[0, 0, 1]]])))["miou"]
    100.0
    """
    iou = class_iou(counts.confusion)
    return {
        "miou": mean_iou(counts.confusion),
        "pixel_accuracy": pixel_accuracy(counts.confusion),
        "mean_class_accuracy": mean_class_accuracy(counts.confusion),
        "nll": float(counts.nll) / int(counts.confusion.sum()),
        "ece": pixel_calibration_error(counts.bins),
        "classes": int(iou.isfinite().sum()),
    }


def class_iou(confusion: Tensor) -> Tensor:
    """Intersection over union of each class, in percent; NaN for one in neither labels nor predictions. -> [C] float64.

    `confusion` [C, C] holds pixels by label and prediction.

    >>> class_iou(torch.tensor([[1, 1, 0], [0, 2, 0], [0, 0, 0]]))
    tensor([50.0000, 66.6667,     nan], dtype=torch.float64)
    """
    right = confusion.diagonal()
    return 100 * right.double() / (confusion.sum(dim=0) + confusion.sum(dim=1) - right)


def mean_iou(confusion: Tensor) -> float:
    """Mean IoU in percent over the classes that occur in labels or predictions; others are left out. [C, C].

    The counts are summed over all images before the ratio is taken, as VOC and Cityscapes do.

    >>> mean_iou(torch.tensor([[1, 0], [0, 2]]))
    100.0
    """
    _require_pixels(confusion)
    return float(class_iou(confusion).nanmean())


def pixel_accuracy(confusion: Tensor) -> float:
    """Percentage of labelled pixels whose prediction is right. [C, C].

    >>> pixel_accuracy(torch.tensor([[1, 1], [0, 2]]))
    75.0
    """
    _require_pixels(confusion)
    return 100 * int(confusion.diagonal().sum()) / int(confusion.sum())


def class_accuracy(confusion: Tensor) -> Tensor:
    """Percentage of each class's pixels whose prediction is right; NaN for one without pixels. [C, C] -> [C] float64.

    >>> class_accuracy(torch.tensor([[1, 1], [0, 2]]))
    tensor([ 50., 100.], dtype=torch.float64)
    """
    return 100 * confusion.diagonal().double() / confusion.sum(dim=1)


def mean_class_accuracy(confusion: Tensor) -> float:
    """Mean of the classes' accuracies in percent; classes without labelled pixels are left out. [C, C].

    >>> mean_class_accuracy(torch.tensor([[1, 1], [0, 2]]))
    75.0
    """
    _require_pixels(confusion)
    return float(class_accuracy(confusion).nanmean())


def pixel_calibration_error(bins: Tensor) -> float:
    """Expected calibration error of pixels, in percent. `bins` [K, 3]: pixels, sum of confidences, right predictions.

    >>> pixel_calibration_error(torch.tensor([[4.0, 3.0, 2.0]]))  # confidence 75 %, accuracy 50 %
    25.0
    """
    pixels, confidence, right = bins.double().unbind(dim=1)
    return 100 * float((confidence - right).abs().sum() / pixels.sum())


def iou_per_class(confusion: Tensor, names: Sequence[str]) -> list[ClassRow]:
    """Compute one row for each class. [C, C], C names.

    "pixels": number of labelled pixels; "iou", "accuracy" in percent; "taken_for": the most frequent wrong
    prediction. None where a count is 0.

    >>> iou_per_class(torch.tensor([[1, 1], [0, 2]]), ["road", "sky"])[0]
    {'class': 'road', 'pixels': 2, 'iou': 50.0, 'accuracy': 50.0, 'taken_for': 'sky'}
    """
    wrong = confusion - confusion.diagonal().diag()
    columns = class_iou(confusion).tolist(), class_accuracy(confusion).tolist()
    return [
        {
            "class": name,
            "pixels": int(confusion[k].sum()),
            "iou": None if iou != iou else iou,
            "accuracy": None if accuracy != accuracy else accuracy,
            "taken_for": names[int(wrong[k].argmax())] if wrong[k].any() else None,
        }
        for k, (name, iou, accuracy) in enumerate(zip(names, *columns, strict=True))
    ]


def _image_counts(logits: Tensor, labels: Tensor) -> PixelCounts:
    """Counts of one image. [C, h, w], [H, W]."""
    maps = logits.double()[None]
    if logits.shape[1:] != labels.shape:
        maps = F.interpolate(maps, labels.shape, mode="bilinear")
    known = labels != IGNORED
    rows, wanted = maps[0].permute(1, 2, 0)[known], labels[known]  # [R, C], [R]
    _require_finite(rows)
    sure, guess = rows.softmax(dim=1).max(dim=1).values, rows.argmax(dim=1)
    table = multiclass_confusion_matrix(guess, wanted, len(logits), validate_args=False)
    right = (guess == wanted).double()
    place = equal_width_bins(sure, BINS)
    sums = [place.bincount(each, minlength=BINS) for each in (torch.ones_like(sure), sure, right)]
    return PixelCounts(table, torch.stack(sums, dim=1), F.cross_entropy(rows, wanted, reduction="sum"))


def _require_maps(logits: Tensor, labels: Tensor) -> None:
    if logits.dim() != 4 or not logits.numel() or labels.dim() != 3 or len(labels) != len(logits):
        raise UserError(
            f"segmentation reads logits [images, classes, height, width] and labels [images, height, width], but got "
            f"{list(logits.shape)} and {list(labels.shape)}; pass maps of at least one image"
        )
    if labels.is_floating_point() or labels.dtype == torch.bool:
        kind = str(labels.dtype).removeprefix("torch.")
        raise UserError(f"labels of pixels are class numbers, but these are {kind}; pass int64")


def _require_classes(labels: Tensor, classes: int) -> None:
    """Raise `UserError` for a pixel whose label is neither a class nor -100."""
    wrong = labels[(labels != IGNORED) & ((labels < 0) | (labels >= classes))]
    if len(wrong):
        raise UserError(
            f"{len(wrong)} of {labels.numel()} pixels have a label that is no class from 0 to {classes - 1}, such as "
            f"{int(wrong[0])}; a pixel without a label is {IGNORED}"
        )


def _require_finite(rows: Tensor) -> None:
    """Raise `UserError` for pixels without a softmax. [R, C]."""
    sound = rows.amax(dim=1).isfinite()
    if not sound.all():
        raise UserError(
            f"the logits of {int((~sound).sum())} of {len(rows)} pixels of an image are NaN or infinite; the network "
            "has diverged or its weights are damaged: train it with a lower learning rate, or load other weights"
        )


def _require_pixels(confusion: Tensor) -> None:
    if not confusion.any():
        raise UserError(
            f"no pixel has a label: all are {IGNORED}; check the ignored id of the masks, or add images with labels"
        )


def count_test_pixels(context: EvaluationContext) -> PixelCounts:
    """Counts of the test images' pixels."""
    return count_pixels(context.model.model, context.splits.test, context.model.augment, context.model.device)


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "segmentation" on the test images."""
    return segmentation_metrics(context.once(count_test_pixels))


def compute_classes(context: EvaluationContext) -> list[ClassRow]:
    """Metric "class_iou" on the test images."""
    return iou_per_class(context.once(count_test_pixels).confusion, context.splits.classes)
