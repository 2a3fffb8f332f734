import math

import pytest
import torch
from torch.testing import assert_close
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from selfdistill.errors import UserError
from selfdistill.metrics.calibration import calibration_error
from selfdistill.metrics.segmentation import (
    class_accuracy,
    class_iou,
    iou_per_class,
    mean_class_accuracy,
    mean_iou,
    pixel_accuracy,
    pixel_calibration_error,
    pixel_counts,
    segmentation_metrics,
)


def maps(images=5, classes=4, height=6, width=7, seed=0):
    """Logits, and labels that follow them more often than not; a fifth has none."""
    draws = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, classes, height, width, generator=draws)
    labels = torch.randint(classes, (images, height, width), generator=draws)
    follows, unknown = torch.rand(2, images, height, width, generator=draws)
    labels = torch.where(follows < 0.6, logits.argmax(dim=1), labels)
    return logits, labels.masked_fill(unknown < 0.2, -100)


def pixels(logits, labels):
    """Labelled pixels as (probabilities, label), one by one."""
    for b, image in enumerate(labels.tolist()):
        for y, line in enumerate(image):
            for x, label in enumerate(line):
                if label != -100:
                    values = logits[b, :, y, x].double().tolist()
                    total = sum(math.exp(each) for each in values)
                    yield [math.exp(each) / total for each in values], label


def by_loop(logits, labels):
    """All numbers from their definitions."""
    classes = logits.shape[1]
    rows = [(shares, shares.index(max(shares)), label) for shares, label in pixels(logits, labels)]
    ious, recalls = [], []
    for k in range(classes):
        both = sum(guess == k == label for _, guess, label in rows)
        either = sum(k in (guess, label) for _, guess, label in rows)
        own = sum(label == k for _, _, label in rows)
        ious += [both / either] if either else []
        recalls += [both / own] if own else []
    gaps = [0.0] * 15
    for shares, guess, label in rows:
        gaps[min(int(max(shares) * 15), 14)] += max(shares) - (guess == label)
    return {
        "miou": 100 * sum(ious) / len(ious),
        "pixel_accuracy": 100 * sum(guess == label for _, guess, label in rows) / len(rows),
        "mean_class_accuracy": 100 * sum(recalls) / len(recalls),
        "nll": -sum(math.log(shares[label]) for shares, _, label in rows) / len(rows),
        "ece": 100 * sum(map(abs, gaps)) / len(rows),
        "classes": len(ious),
    }


@pytest.mark.parametrize("classes", [2, 4, 9])
def test_all_numbers_are_their_definitions(classes):
    logits, labels = maps(classes=classes)
    assert segmentation_metrics(pixel_counts(logits, labels)) == pytest.approx(by_loop(logits, labels))


def test_a_class_in_neither_labels_nor_predictions_is_left_out():
    logits, labels = maps()
    logits[:, 2], labels[labels == 2] = -50, -100
    found = segmentation_metrics(pixel_counts(logits, labels))
    assert found == pytest.approx(by_loop(logits, labels))
    assert found["classes"] == 3


def test_a_class_that_is_only_predicted_counts_as_zero():
    confusion = torch.tensor([[3, 1], [0, 0]])
    assert class_iou(confusion).tolist() == [75, 0]
    assert mean_iou(confusion) == 37.5
    assert class_accuracy(confusion)[1].isnan()
    assert mean_class_accuracy(confusion) == 75


def test_it_agrees_with_torchmetrics():
    logits, labels = maps(classes=5)
    confusion = pixel_counts(logits, labels).confusion
    for ours, average in ((mean_iou(confusion), "macro"), (class_iou(confusion), "none")):
        theirs = MulticlassJaccardIndex(5, average=average, ignore_index=-100)(logits, labels)
        assert_close(torch.as_tensor(ours).float(), 100 * theirs)
    for ours, average in ((mean_class_accuracy(confusion), "macro"), (pixel_accuracy(confusion), "micro")):
        theirs = MulticlassAccuracy(5, average=average, ignore_index=-100)(logits, labels)
        assert_close(torch.tensor(ours), 100 * theirs)


def test_counts_of_batches_add_up_to_those_of_all():
    logits, labels = maps(images=7)
    whole = pixel_counts(logits, labels)
    parts = pixel_counts(logits[:3], labels[:3]) + pixel_counts(logits[3:], labels[3:])
    assert parts.confusion.equal(whole.confusion)
    assert_close(parts.bins, whole.bins)
    assert segmentation_metrics(parts) == pytest.approx(segmentation_metrics(whole))


def test_an_ignored_pixel_changes_nothing():
    logits, labels = maps()
    other = torch.where((labels == -100)[:, None], torch.nan, logits)
    assert segmentation_metrics(pixel_counts(other, labels)) == segmentation_metrics(pixel_counts(logits, labels))


def test_one_pixel_an_image_is_classification():
    logits, labels = maps(images=40, height=1, width=1)
    known = labels.flatten() != -100
    error = pixel_calibration_error(pixel_counts(logits, labels).bins)
    assert error == pytest.approx(calibration_error(logits.flatten(1)[known], labels.flatten()[known]))


def test_small_maps_of_logits_are_resized_to_the_labels():
    logits, labels = maps(height=8, width=12)
    small = torch.nn.functional.avg_pool2d(logits, 4)
    large = torch.nn.functional.interpolate(small.double(), (8, 12), mode="bilinear", align_corners=False)
    assert segmentation_metrics(pixel_counts(small, labels)) == segmentation_metrics(pixel_counts(large, labels))


def test_an_image_without_labels_counts_nothing():
    logits, labels = maps(images=2)
    labels[1] = -100
    alone, both = pixel_counts(logits[:1], labels[:1]), pixel_counts(logits, labels)
    assert both.confusion.equal(alone.confusion)
    assert both.bins.equal(alone.bins)


def test_half_precision_is_counted_in_float64():
    logits, labels = maps()
    half = logits.bfloat16()
    assert pixel_counts(half, labels).nll == pixel_counts(half.double(), labels).nll


def test_rows_of_classes_name_the_most_frequent_mistake():
    rows = iou_per_class(torch.tensor([[5, 1, 4], [0, 0, 0], [0, 0, 2]]), ["road", "sky", "tree"])
    assert [row["taken_for"] for row in rows] == ["tree", None, None]
    assert [row["pixels"] for row in rows] == [10, 0, 2]
    assert rows[1] == {"class": "sky", "pixels": 0, "iou": 0.0, "accuracy": None, "taken_for": None}
    assert rows[2]["iou"] == pytest.approx(100 * 2 / 6)
    assert iou_per_class(torch.tensor([[1, 0], [0, 0]]), ["a", "b"])[1]["iou"] is None


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (
            torch.zeros(2, 3),
            torch.zeros(2),
            r"reads logits \[images, classes, height, width\] .* got \[2, 3\] and \[2\]",
        ),
        (
            torch.zeros(2, 3, 4, 4),
            torch.zeros(3, 4, 4),
            r"got \[2, 3, 4, 4\] and \[3, 4, 4\]; pass maps of at least one image",
        ),
        (torch.zeros(0, 3, 4, 4), torch.zeros(0, 4, 4), r"pass maps of at least one image"),
        (torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2), r"class numbers, but these are float32; pass int64"),
        (
            torch.zeros(1, 3, 2, 2),
            torch.tensor([[[0, 255], [255, 2]]]),
            r"2 of 4 pixels have a label that is no class from 0 to 2, such as 255; a pixel without a label is -100",
        ),
        (torch.full((1, 3, 2, 2), torch.nan), torch.zeros(1, 2, 2).long(), r"logits of 4 of 4 pixels .* diverged"),
    ],
)
def test_what_does_not_fit_is_answered(logits, labels, message):
    with pytest.raises(UserError, match=message):
        pixel_counts(logits, labels)


def test_without_any_label_there_is_no_number():
    counts = pixel_counts(torch.zeros(1, 2, 2, 2), torch.full((1, 2, 2), -100))
    with pytest.raises(UserError, match=r"no pixel has a label: all are -100; check the ignored id of the masks"):
        segmentation_metrics(counts)
