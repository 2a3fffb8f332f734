"""How honest the confidences are."""

from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_calibration_error

BINS = 15  # of the calibration errors


def calibration(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """ECE and adaptive ECE in percent, and the Brier score. logits [N, C], labels [N]."""
    return {
        "ece": calibration_error(logits, labels),
        "adaptive_ece": adaptive_calibration_error(logits, labels),
        "brier": brier(logits, labels),
    }


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Mean gap between confidence and accuracy over bins of equal width, in percent. [N, C], [N]."""
    error = multiclass_calibration_error(logits.softmax(dim=1), labels, logits.shape[1], n_bins=BINS)
    return 100 * error.item()


def adaptive_calibration_error(logits: Tensor, labels: Tensor) -> float:
    """The same over bins of equally many rows (Nguyen and O'Connor, 2015), in percent. [N, C], [N]."""
    confidence, guess = logits.double().softmax(dim=1).max(dim=1)
    gap = confidence - shared(guess == labels, confidence)
    bins = gap[confidence.argsort()].tensor_split(BINS)
    return 100 * sum(abs(float(each.sum())) for each in bins) / len(labels)


def brier(logits: Tensor, labels: Tensor) -> float:
    """Squared distance of the probabilities to the one-hot label, mean over rows; from 0 to 2. [N, C], [N]."""
    wanted = nn.functional.one_hot(labels, logits.shape[1])
    return (logits.double().softmax(dim=1) - wanted).square().sum(dim=1).mean().item()


def shared(values: Tensor, scores: Tensor) -> Tensor:
    """Each row's value replaced by the mean over the rows of equal score. values, scores: [N] -> [N] float64.

    It is what a random order of ties gives on average, so that no measure depends on the order of the rows.
    """
    _, group = scores.unique(return_inverse=True)
    values = values.double()
    return (group.bincount(values) / group.bincount())[group]
