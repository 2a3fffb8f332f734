"""Images changed to deceive, by no more than epsilon steps of 255 a pixel, and never beyond 0 to 255."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from selfdistill.data import Images
from selfdistill.metrics.model import EvaluatedModel
from selfdistill.rng import make_generator

Logits = Callable[[Tensor], Tensor]  # of pixels from 0 to 255

EPSILONS = (2.0, 8.0)  # in steps of 255
STEPS, STRIDE = 10, 0.25  # of PGD; how far a step goes, as a share of epsilon


def fgsm(logits: Logits, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """One step along the sign of the gradient (Goodfellow et al., 2015). [B, 3, H, W] -> the same in float32."""
    pixels = images.float()
    return within(pixels + epsilon * uphill(logits, pixels, labels), pixels, epsilon)


def pgd(
    logits: Logits, images: Tensor, labels: Tensor, epsilon: float, generator: Generator, *, steps: int = STEPS
) -> Tensor:
    """Many such steps from a random start, each brought back into the ball (Madry et al., 2018)."""
    pixels = images.float()
    start = torch.rand(pixels.shape, generator=generator).to(pixels.device) * 2 - 1
    changed = within(pixels + epsilon * start, pixels, epsilon)
    for _ in range(steps):
        changed = within(changed + STRIDE * epsilon * uphill(logits, changed, labels), pixels, epsilon)
    return changed


def uphill(logits: Logits, pixels: Tensor, labels: Tensor) -> Tensor:
    """The sign of the gradient of cross-entropy by the pixels. -> [B, 3, H, W] of -1, 0 and 1."""
    with torch.enable_grad():
        pixels = pixels.detach().requires_grad_()
        loss = nn.functional.cross_entropy(logits(pixels), labels, reduction="sum")  # no row depends on the others
        return torch.autograd.grad(loss, pixels)[0].sign()


def within(changed: Tensor, pixels: Tensor, epsilon: float) -> Tensor:
    """The nearest image that is one, and at most epsilon away from the first in every pixel."""
    return changed.clamp((pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=255))


def fgsm_accuracy(subject: EvaluatedModel, images: Images, epsilons: Sequence[float]) -> dict[str, float]:
    """Percent right under FGSM, by epsilon."""

    def deceived(epsilon: float) -> float:
        return subject.accuracy(images, lambda pixels, labels: fgsm(subject.logits, pixels, labels, epsilon))

    return {f"{epsilon:g}/255": deceived(epsilon) for epsilon in epsilons}


def pgd_accuracy(subject: EvaluatedModel, images: Images, epsilons: Sequence[float], seed: int) -> dict[str, float]:
    """Percent right under PGD of 10 steps, by epsilon."""

    def deceived(epsilon: float) -> float:
        draws = make_generator(seed, "pgd", epsilon)
        return subject.accuracy(images, lambda pixels, labels: pgd(subject.logits, pixels, labels, epsilon, draws))

    return {f"{epsilon:g}/255": deceived(epsilon) for epsilon in epsilons}
