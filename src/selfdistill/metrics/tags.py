"""Multi-label metrics: average precision of tags, and F1 at fixed or chosen thresholds.

Labels are 1, 0, or -100 where it is unknown if a tag fits; unknown ones are left out. Thresholds are of logits: 0 is a
probability of 0.5. All functions raise `UserError` for other labels, and for logits that are not finite.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve
from torch import Tensor

from selfdistill.data.ignored import IGNORED
from selfdistill.errors import UserError
from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.values import ClassRow

EPS = 1e-12  # below which two F1 are equal


def tag_metrics(logits: Tensor, labels: Tensor, thresholds: Tensor | None = None) -> dict[str, float]:
    """Compute mean average precision, and micro and macro F1, in percent. logits [N, T], labels [N, T].

    "micro_f1" and "macro_f1" are at a probability of 0.5. With `thresholds` [T] from `best_thresholds` on validation
    data, "micro_f1_chosen" and "macro_f1_chosen" are added. Tags without a positive image are left out of the means;
    "tags_left_out" is their number.

    >>> tag_metrics(torch.tensor([[2.0, -1.0], [-2.0, -3.0]]), torch.tensor([[1, 0], [0, 0]]))
    {'map': 100.0, 'micro_f1': 100.0, 'macro_f1': 100.0, 'tags_left_out': 1}
    """
    precisions = average_precisions(logits, labels)
    micro, macro = f1_scores(logits, labels, torch.zeros(logits.shape[1]))
    found = {"map": float(precisions.nanmean()), "micro_f1": micro, "macro_f1": macro}
    if thresholds is not None:
        found["micro_f1_chosen"], found["macro_f1_chosen"] = f1_scores(logits, labels, thresholds)
    return found | {"tags_left_out": int(precisions.isnan().sum())}


def average_precisions(logits: Tensor, labels: Tensor) -> Tensor:
    """Average precision of each tag in percent; NaN for a tag without a positive. [N, T], [N, T] -> [T] float64.

    The sum of precisions at each distinct logit, weighted by the gain in recall, without interpolation.

    >>> average_precisions(torch.tensor([[3.0], [2.0], [1.0]]), torch.tensor([[1], [0], [1]]))
    tensor([83.3333], dtype=torch.float64)
    """
    return _by_tag(_average_precision, *_checked(logits, labels))


def best_thresholds(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of each tag at which its F1 is largest; 0 for a tag without a positive. [N, T], [N, T] -> [T] float64.

    A tag is predicted where its logit is at least the threshold; of equally good ones the highest is taken. Choose
    them on validation data: on the test data the F1 would be too good.

    >>> best_thresholds(torch.tensor([[3.0], [2.0], [1.0]]), torch.tensor([[1], [1], [0]]))
    tensor([2.], dtype=torch.float64)
    """
    return _by_tag(_best_threshold, *_checked(logits, labels)).nan_to_num(0.0)


def f1_scores(logits: Tensor, labels: Tensor, thresholds: Tensor) -> tuple[float, float]:
    """Micro and macro F1 in percent: over all labels, and the mean over tags with a positive. [N, T], [N, T], [T].

    >>> f1_scores(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), torch.tensor([[1, 1], [0, 1]]), torch.zeros(2))[1]
    66.66666666666667
    """
    logits, labels = _checked(logits, labels)
    right, wrong = _counts(logits, labels, thresholds)
    positive = (labels == 1).any(dim=0)
    macro = (200 * right / (2 * right + wrong))[positive].mean()
    return 200 * float(right.sum()) / float(2 * right.sum() + wrong.sum()), float(macro)


def tag_rows(logits: Tensor, labels: Tensor, names: Sequence[str], thresholds: Tensor | None = None) -> list[ClassRow]:
    """Compute one row for each tag. logits [N, T], labels [N, T], T names; thresholds [T], by default 0.

    "positives": number of images with the tag; "ap" and "f1" in percent, None where there is no positive.

    >>> tag_rows(torch.tensor([[1.0], [-1.0]]), torch.tensor([[1], [0]]), ["cat"])
    [{'class': 'cat', 'positives': 1, 'ap': 100.0, 'f1': 100.0}]
    """
    precisions = average_precisions(logits, labels).tolist()
    right, wrong = _counts(*_checked(logits, labels), torch.zeros(len(names)) if thresholds is None else thresholds)
    f1 = (200 * right / (2 * right + wrong)).tolist()
    positives = (labels == 1).sum(dim=0).tolist()
    return [
        {"class": name, "positives": count, "ap": ap if count else None, "f1": score if count else None}
        for name, count, ap, score in zip(names, positives, precisions, f1, strict=True)
    ]


def _counts(logits: Tensor, labels: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """True positives, and false positives with false negatives, of each tag. -> [T], [T] float64."""
    if thresholds.shape != labels.shape[1:]:
        raise UserError(
            f"{labels.shape[1]} tags need as many thresholds, but got {list(thresholds.shape)}; pass [tags]"
        )
    known, wanted = labels != IGNORED, labels == 1
    guess = logits >= thresholds.to(logits)
    return (guess & wanted).sum(dim=0).double(), ((guess != wanted) & known).sum(dim=0).double()


def _by_tag(score: Callable[[Tensor, Tensor], float], logits: Tensor, labels: Tensor) -> Tensor:
    """Score the known labels of each tag; NaN for a tag without a positive. -> [T] float64."""
    scores = []
    for column, wanted in zip(logits.cpu().T, labels.cpu().T, strict=True):
        known = wanted != IGNORED
        scores.append(score(wanted[known], column[known]) if (wanted == 1).any() else torch.nan)
    return torch.tensor(scores, dtype=torch.float64)


def _average_precision(labels: Tensor, logits: Tensor) -> float:
    return 100 * float(average_precision_score(labels.numpy(), logits.numpy()))


def _best_threshold(labels: Tensor, logits: Tensor) -> float:
    """Threshold of largest F1, the highest of equal ones. [R], [R]."""
    precision, recall, thresholds = precision_recall_curve(labels.numpy(), logits.numpy())
    f1 = 2 * precision * recall / np.maximum(precision + recall, EPS)
    return float(thresholds[f1[:-1] >= f1.max() - EPS].max())  # the last point has no threshold


def _checked(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits as float64 and labels as int64. [N, T], [N, T]."""
    if logits.dim() != 2 or not logits.numel() or labels.shape != logits.shape:
        raise UserError(
            f"tags are read from logits [images, tags] and labels of the same shape, but got {list(logits.shape)} and "
            f"{list(labels.shape)}; pass at least one image"
        )
    wrong = labels[(labels != 0) & (labels != 1) & (labels != IGNORED)]
    if len(wrong):
        raise UserError(
            f"{len(wrong)} of {labels.numel()} labels of tags are neither 0 nor 1, such as {wrong[0].item():g}; write "
            f"{IGNORED} where a label is unknown"
        )
    if not (labels == 1).any():
        raise UserError(f"no image has any of the {labels.shape[1]} tags, so there is nothing to measure; add some")
    _require_finite(logits, labels)
    return logits.detach().double(), labels.long()


def _require_finite(logits: Tensor, labels: Tensor) -> None:
    wrong = ~logits.isfinite() & (labels != IGNORED)
    if wrong.any():
        rows = wrong.any(dim=1).nonzero().flatten().tolist()
        raise UserError(
            f"the logits of {len(rows)} of {len(logits)} images are NaN or infinite (the first: image {rows[0]}); the "
            "network has diverged or its weights are damaged: train it with a lower learning rate, or load others"
        )


def chosen_thresholds(context: EvaluationContext) -> Tensor | None:
    """Best thresholds on the validation images; None without them. -> [T]."""
    if context.splits.validation is None:
        return None
    found = context.model.predictions(context.splits.validation)
    return best_thresholds(found.logits, found.labels)


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "tags" on the test images."""
    return tag_metrics(*context.logits_and_labels, context.once(chosen_thresholds))


def compute_tags(context: EvaluationContext) -> list[ClassRow]:
    """Metric "tag_f1" on the test images."""
    thresholds = context.once(chosen_thresholds)
    rows = tag_rows(*context.logits_and_labels, context.splits.classes, thresholds)
    cuts = torch.zeros(len(rows)) if thresholds is None else thresholds
    return [row | {"threshold": cut} for row, cut in zip(rows, cuts.sigmoid().tolist(), strict=True)]
