"""Logits, labels and embeddings that no metric can be computed from."""

import math

import pytest
import torch
from torch import nn

from selfdistill import data, metrics
from selfdistill.errors import UserError
from selfdistill.metrics.accuracy import accuracy, accuracy_and_nll, classification_metrics
from selfdistill.metrics.calibration import adaptive_calibration_error, brier, calibration_error
from selfdistill.metrics.embedding_variance import class_variance
from selfdistill.metrics.knn import knn
from selfdistill.metrics.ood import auroc_and_fpr95, ood_detection
from selfdistill.metrics.per_class import per_class_metrics
from selfdistill.metrics.retrieval import recall_at_1
from selfdistill.metrics.selective import aurc, selective_risk
from selfdistill.plots.collect import collect
from selfdistill.plots.confusion import confusion
from selfdistill.plots.reliability import reliability
from tests.helpers.metric_rows import embeddings_and_labels, logits_and_labels

OF_LOGITS = [
    *(accuracy, accuracy_and_nll, classification_metrics, calibration_error, adaptive_calibration_error, brier),
    *(selective_risk, confusion, reliability),
    lambda logits, labels: per_class_metrics(logits, labels, "abcdefgh"),
    lambda logits, labels: accuracy(logits, labels, 5),
    lambda logits, labels: ood_detection(logits, torch.zeros(3, 8)),
    lambda logits, labels: ood_detection(torch.zeros(3, 8), logits),
]
OF_EMBEDDINGS = [
    *(recall_at_1, class_variance),
    lambda rows, labels: knn(rows, labels, torch.eye(5), torch.arange(5)),
    lambda rows, labels: knn(torch.eye(5), torch.arange(5), rows, labels),
]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("metric", OF_LOGITS)
def test_one_bad_logit_is_no_number_of_any_metric(metric, bad):
    logits, labels = logits_and_labels(20)
    logits[7, 2] = bad
    with pytest.raises(
        UserError, match=r"the logits of 1 of 20 images are NaN or infinite \(the first: image 7\); the"
    ):
        metric(logits, labels)


@pytest.mark.parametrize("metric", OF_LOGITS)
def test_a_row_of_masked_classes_only_is_refused(metric):
    logits, labels = logits_and_labels(20)
    logits[[3, 4]] = -math.inf
    with pytest.raises(UserError, match=r"the logits of 2 of 20 images .*image 3"):
        metric(logits, labels)


@pytest.mark.parametrize("metric", OF_LOGITS)
def test_a_masked_class_is_as_one_of_tiny_probability(metric):
    logits, labels = logits_and_labels(200)
    masked, small = logits.clone(), logits.clone()
    masked[:, 7], small[:, 7] = -math.inf, -5000.0
    for each in (masked, small):
        each[labels == 7, 7] = logits[labels == 7, 7]  # its own images keep it
    found, want = metric(masked, labels), metric(small, labels)
    assert str(found) == str(want)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", OF_EMBEDDINGS)
def test_one_bad_embedding_is_no_number_of_any_metric(metric, bad):
    rows, labels = embeddings_and_labels(20)
    rows[5, 1] = bad
    with pytest.raises(UserError, match=r"the embeddings of 1 of 20 images are NaN or infinite \(the first: image 5\)"):
        metric(rows, labels)


def test_scores_that_are_no_number():
    sound, bad = torch.tensor([1.0, 2.0]), torch.tensor([math.nan, 2.0])
    for pair in ((sound, bad), (bad, sound)):
        with pytest.raises(UserError, match="the scores of 1 of 2 images are NaN"):
            auroc_and_fpr95(*pair)
    with pytest.raises(UserError, match="the scores of 1 of 2 images are NaN"):
        aurc(bad, torch.zeros(2))
    assert auroc_and_fpr95(torch.tensor([math.inf, 2.0]), torch.tensor([-math.inf]))["auroc"] == 100


def test_the_nll_of_a_masked_class_is_infinite():
    with pytest.raises(UserError, match="the NLL is infinite: 1 of 2 images are of a class whose logit is minus inf"):
        accuracy_and_nll(torch.tensor([[0.0, -math.inf], [0.0, 0.0]]), torch.tensor([1, 1]))


@pytest.mark.parametrize("metric", OF_LOGITS[:9])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, -100, 1]), "1 of 3 labels are no class from 0 to 3, such as -100; leave those images out"),
        (torch.tensor([0, 4, 9]), "2 of 3 labels are no class from 0 to 3, such as 4"),
        (torch.tensor([0, 1]), r"one class number for each of 3 images, but the labels are int64 \[2\]"),
        (torch.tensor([0.0, 1, 1]), r"for each of 3 images, but the labels are float32 \[3\]"),
        (torch.zeros(3, 4).long(), r"but the labels are int64 \[3, 4\]"),
    ],
)
def test_labels_that_are_no_classes(metric, labels, message):
    with pytest.raises(UserError, match=message):
        metric(torch.eye(4)[:3], labels)


@pytest.mark.parametrize("metric", OF_LOGITS[:9])
def test_labels_of_any_integer_are_the_same(metric):
    logits, labels = logits_and_labels(50)
    assert str(metric(logits, labels.to(torch.uint8))) == str(metric(logits, labels))


@pytest.mark.parametrize("metric", OF_LOGITS[:9])
def test_no_image_is_no_metric(metric):
    with pytest.raises(UserError, match=r"logits \[images, classes\], but got \[0, 4\]; pass at least one image"):
        metric(torch.zeros(0, 4), torch.zeros(0).long())


class Diverged(nn.Module):
    """Overflows where an image is bright."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, images):
        means = images.mean(dim=(2, 3))
        return self.fc(torch.where(means.amax(dim=1, keepdim=True) > 0, means * torch.inf, means))


@pytest.mark.parametrize("name", [each for each in metrics.METRICS if each not in ("cost", "outside")])
def test_a_diverged_network_has_no_metrics(name):
    splits = data.load("fake:classes=4,size=8,test=12,train=12")
    with pytest.raises(UserError, match="the logits of .* images are NaN or infinite"):
        metrics.evaluate(Diverged(), splits, metrics=name)


def test_a_diverged_network_has_no_pictures():
    splits = data.load("fake:classes=4,size=8,test=12,train=12")
    with pytest.raises(UserError, match="the logits of .* of 12 images are NaN or infinite"):
        collect(Diverged(), splits.test, data.default_augmentation(splits))
