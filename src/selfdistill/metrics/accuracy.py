"""How often, how surely and how honestly a network is right."""

import torch
from torch import Tensor, nn

from selfdistill.data import Augmentation, Images, batches
from selfdistill.features.trace import logits_of
from selfdistill.metrics.calibration import calibration_error
from selfdistill.metrics.model import evaluating


def evaluate(
    model: nn.Module,
    images: Images,
    augment: Augmentation,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Measure top-1 and top-5 in percent, NLL in nats and ECE in percent over all images, in eval mode."""
    return measures(*predict(model, images, augment, batch_size=batch_size, device=device))


@torch.no_grad()
def predict(
    model: nn.Module,
    images: Images,
    augment: Augmentation,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """The network's logits for all images, in eval mode, and the labels. -> [N, C], [N] on the CPU."""
    with evaluating(model):
        shown = [
            (logits_of(model(batch.images)).float().cpu(), batch.labels.cpu())
            for batch in batches(images, batch_size, augment, device)
        ]
    logits, labels = (torch.cat(each) for each in zip(*shown, strict=True))
    return logits, labels


def measures(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Top-1, top-5 (where there are more than five classes), NLL and ECE of logits [N, C], labels [N]."""
    return rightness(logits, labels) | {"ece": calibration_error(logits, labels)}


def rightness(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Top-1 and top-5 (where there are more than five classes) in percent, and NLL in nats. [N, C], [N]."""
    top5 = {"top5": accuracy(logits, labels, 5)} if logits.shape[1] > 5 else {}
    nll = nn.functional.cross_entropy(logits.double(), labels).item()
    return {"top1": accuracy(logits, labels), **top5, "nll": nll}


def accuracy(logits: Tensor, labels: Tensor, top: int = 1) -> float:
    """Percent of rows whose label is among the `top` largest logits [N, C]."""
    right = (logits.topk(top, dim=1).indices == labels[:, None]).any(dim=1)
    return 100 * int(right.sum()) / len(labels)
