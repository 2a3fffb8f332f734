"""Accuracy under adversarial attacks (FGSM, PGD) in the L∞ ball of radius epsilon/255, within valid pixels."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from selfdistill.data import Images
from selfdistill.metrics.context import EvaluationContext, whole_images
from selfdistill.metrics.model import EvaluatedModel
from selfdistill.rng import make_generator

Logits = Callable[[Tensor], Tensor]  # of pixels from 0 to 255

EPSILONS = (2.0, 8.0)  # in units of 1/255
STEPS, STRIDE = 10, 0.25  # of PGD; step size as a share of epsilon


def fgsm(logits: Logits, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """Take one step along the sign of the gradient (Goodfellow et al., 2015). [B, 3, H, W] -> same, float32.

    >>> images, labels = torch.full((1, 3, 2, 2), 100, dtype=torch.uint8), torch.tensor([0])
    >>> attacked = fgsm(lambda pixels: pixels.mean(dim=(2, 3)), images, labels, 8)
    >>> attacked.mean(dim=(2, 3))  # the labeled channel darker, the others brighter
    tensor([[ 92., 108., 108.]])
    """
    pixels = images.float()
    return project(pixels + epsilon * gradient_sign(logits, pixels, labels), pixels, epsilon)


def pgd(
    logits: Logits, images: Tensor, labels: Tensor, epsilon: float, generator: Generator, *, steps: int = STEPS
) -> Tensor:
    """Take projected gradient steps from a random start (Madry et al., 2018). [B, 3, H, W] -> same, float32.

    >>> images, labels = torch.full((1, 3, 2, 2), 100, dtype=torch.uint8), torch.tensor([0])
    >>> attacked = pgd(lambda pixels: pixels.mean(dim=(2, 3)), images, labels, 8, torch.Generator())
    >>> attacked.mean(dim=(2, 3))
    tensor([[ 92., 108., 108.]])
    """
    pixels = images.float()
    start = torch.rand(pixels.shape, generator=generator).to(pixels.device) * 2 - 1
    changed = project(pixels + epsilon * start, pixels, epsilon)
    for _ in range(steps):
        changed = project(changed + STRIDE * epsilon * gradient_sign(logits, changed, labels), pixels, epsilon)
    return changed


def gradient_sign(logits: Logits, pixels: Tensor, labels: Tensor) -> Tensor:
    """Sign of the gradient of the cross-entropy with respect to the pixels. -> [B, 3, H, W] of -1, 0 and 1.

    >>> gradient_sign(lambda pixels: pixels.mean(dim=(2, 3)), torch.ones(1, 3, 1, 1), torch.tensor([0])).flatten()
    tensor([-1.,  1.,  1.])
    """
    with torch.enable_grad():
        pixels = pixels.detach().requires_grad_()
        loss = nn.functional.cross_entropy(logits(pixels), labels, reduction="sum")  # rows stay independent
        return torch.autograd.grad(loss, pixels)[0].sign()


def project(changed: Tensor, pixels: Tensor, epsilon: float) -> Tensor:
    """Project onto the L∞ ball around `pixels` [B, 3, H, W] and onto pixels from 0 to 255.

    >>> project(torch.tensor([120.0, -5.0]), torch.tensor([100.0, 2.0]), 8)
    tensor([108.,   0.])
    """
    return changed.clamp((pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=255))


def fgsm_accuracy(model: EvaluatedModel, images: Images, epsilons: Sequence[float]) -> dict[str, float]:
    """Accuracy under FGSM in percent, by epsilon ("8/255").

    >>> from selfdistill import data, models
    >>> splits, net = data.load("fake:size=8,test=8"), models.create("resnet8", 10, size=8)
    >>> model = EvaluatedModel(net, data.default_augmentation(splits), torch.device("cpu"))
    >>> list(fgsm_accuracy(model, splits.test, [8]))
    ['8/255']
    """

    def attacked(epsilon: float) -> float:
        return model.accuracy(images, lambda pixels, labels: fgsm(model.logits, pixels, labels, epsilon))

    return {f"{epsilon:g}/255": attacked(epsilon) for epsilon in epsilons}


def pgd_accuracy(model: EvaluatedModel, images: Images, epsilons: Sequence[float], seed: int) -> dict[str, float]:
    """Accuracy under PGD of 10 steps in percent, by epsilon ("8/255").

    >>> from selfdistill import data, models
    >>> splits, net = data.load("fake:size=8,test=8"), models.create("resnet8", 10, size=8)
    >>> model = EvaluatedModel(net, data.default_augmentation(splits), torch.device("cpu"))
    >>> list(pgd_accuracy(model, splits.test, [8], seed=0))
    ['8/255']
    """

    def attacked(epsilon: float) -> float:
        draws = make_generator(seed, "pgd", epsilon)
        return model.accuracy(images, lambda pixels, labels: pgd(model.logits, pixels, labels, epsilon, draws))

    return {f"{epsilon:g}/255": attacked(epsilon) for epsilon in epsilons}


def compute_fgsm(context: EvaluationContext) -> dict[str, float]:
    """Metric "fgsm" on the test images."""
    return fgsm_accuracy(context.model, whole_images(context.splits.test), context.epsilons)


def compute_pgd(context: EvaluationContext) -> dict[str, float]:
    """Metric "pgd" on the test images."""
    return pgd_accuracy(context.model, whole_images(context.splits.test), context.epsilons, context.seed)
