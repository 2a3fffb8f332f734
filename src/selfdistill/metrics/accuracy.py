"""Top-1 and top-5 accuracy, NLL, and predictions over a data set."""

import torch
from torch import Tensor, nn

from selfdistill.data import Augmentation, Images, batches
from selfdistill.errors import UserError
from selfdistill.features.logits import logits_of
from selfdistill.metrics.calibration import calibration_error
from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.inputs import checked_pair
from selfdistill.metrics.model import eval_mode
from selfdistill.metrics.prediction import label_rank


def evaluate(
    model: nn.Module,
    images: Images,
    augment: Augmentation,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Compute top-1 and top-5 in percent, NLL in nats and ECE in percent over all images, in eval mode.

    >>> from selfdistill import data, models
    >>> splits, model = data.load("fake:size=8"), models.create("resnet8", 10, size=8)
    >>> sorted(evaluate(model, splits.test, data.default_augmentation(splits)))
    ['ece', 'nll', 'top1', 'top5']
    """
    return classification_metrics(*predict(model, images, augment, batch_size=batch_size, device=device))


@torch.no_grad()
def predict(
    model: nn.Module,
    images: Images,
    augment: Augmentation,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Compute the logits of all images in eval mode; return them with the labels. -> [N, C], [N] on the CPU.

    >>> from selfdistill import data, models
    >>> splits, model = data.load("fake:size=8"), models.create("resnet8", 10, size=8)
    >>> predict(model, splits.test, data.default_augmentation(splits))[0].shape
    torch.Size([64, 10])
    """
    with eval_mode(model):
        parts = [
            (logits_of(model(batch.inputs)).float().cpu(), batch.labels.cpu())
            for batch in batches(images, batch_size, augment, device)
        ]
    logits, labels = (torch.cat(each) for each in zip(*parts, strict=True))
    return logits, labels


def classification_metrics(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Compute top-1, top-5 (above five classes), NLL and ECE. logits [N, C], labels [N].

    >>> classification_metrics(torch.eye(3) * 100, torch.arange(3))
    {'top1': 100.0, 'nll': 0.0, 'ece': 0.0}
    """
    return accuracy_and_nll(logits, labels) | {"ece": calibration_error(logits, labels)}


def accuracy_and_nll(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Compute top-1 and top-5 (above five classes) in percent, and NLL in nats. logits [N, C], labels [N].

    >>> accuracy_and_nll(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]))["nll"]  # log 2
    0.6931471805599453
    """
    top5 = {"top5": accuracy(logits, labels, 5)} if logits.shape[1] > 5 else {}
    return {"top1": accuracy(logits, labels), **top5, "nll": negative_log_likelihood(logits, labels)}


def accuracy(logits: Tensor, labels: Tensor, top: int = 1) -> float:
    """Percentage of rows whose label is among the `top` largest logits. logits [N, C], labels [N].

    Of equal logits the lower class ranks first, so top-1 is the share of rows whose `argmax` is the label.

    >>> logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    >>> accuracy(logits, torch.tensor([0, 1])), accuracy(logits, torch.tensor([0, 1]), top=2)
    (50.0, 100.0)
    """
    return 100 * int((label_rank(logits, labels) < top).sum()) / len(labels)


def negative_log_likelihood(logits: Tensor, labels: Tensor) -> float:
    """NLL in nats, mean over rows. logits [N, C], labels [N]. Raises `UserError` where a label's class is masked.

    >>> round(negative_log_likelihood(torch.zeros(1, 2), torch.tensor([0])), 4)
    0.6931
    """
    logits, labels = checked_pair(logits, labels)
    rows = nn.functional.cross_entropy(logits, labels, reduction="none")
    if masked := int(rows.isinf().sum()):
        raise UserError(
            f"the NLL is infinite: {masked} of {len(labels)} images are of a class whose logit is minus infinity; "
            "leave them out, or mask classes by a finite number, such as -10,000"
        )
    return rows.mean().item()


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "accuracy" on the test images."""
    return accuracy_and_nll(*context.logits_and_labels)
