"""Common corruptions at five severities (Hendrycks and Dietterich, 2019), with CIFAR-10-C's parameters.

All but frost (which needs photographs) and, of the four extra ones, spatter. Parameters, order of operations,
borders and rounding follow the published program; random numbers differ, and motion blur and snow omit
ImageMagick's intermediate rounding. Lengths are in proportion to 32-pixel images.
"""

from collections.abc import Callable

from torch import Generator, Tensor

from selfdistill.data import Images
from selfdistill.metrics.context import EvaluationContext, whole_images
from selfdistill.metrics.corruption import blur, digital, noise, weather
from selfdistill.metrics.model import EvaluatedModel
from selfdistill.rng import make_generator

Corruption = Callable[[Tensor, int, Generator], Tensor]  # [B, 3, H, H] uint8, severity, draws -> the same

SEVERITIES = (1, 2, 3, 4, 5)
CORRUPTIONS: dict[str, Corruption] = {
    each.__name__: each
    for each in (
        *(noise.gaussian_noise, noise.shot_noise, noise.impulse_noise, noise.speckle_noise),
        *(blur.defocus_blur, blur.glass_blur, blur.motion_blur, blur.zoom_blur, blur.gaussian_blur),
        *(weather.snow, weather.fog, weather.brightness),
        *(digital.contrast, digital.elastic_transform, digital.pixelate, digital.jpeg_compression, digital.saturate),
    )
}
EXTRA = ("speckle_noise", "gaussian_blur", "saturate")  # published for validation, not part of the mean


def corrupted_accuracy(
    model: EvaluatedModel, images: Images, seed: int, on_start: Callable[[str], object] = str
) -> dict[str, float | list[float]]:
    """Top-1 in percent under each corruption at severities 1 to 5, and "mean" over all but the extra ones.

    `on_start(name)` is called before the passes of each corruption.

    >>> import torch
    >>> from selfdistill import data, models
    >>> splits, net = data.load("fake:size=8,test=8"), models.create("resnet8", 10, size=8)
    >>> model = EvaluatedModel(net, data.default_augmentation(splits), torch.device("cpu"))
    >>> len(corrupted_accuracy(model, splits.test, seed=0))  # 17 corruptions and their mean
    18
    """

    def accuracies(name: str) -> list[float]:
        on_start(name)
        return [corrupted(name, severity) for severity in SEVERITIES]

    def corrupted(name: str, severity: int) -> float:
        draws = make_generator(seed, name, severity)
        return model.accuracy(images, lambda pixels, _: CORRUPTIONS[name](pixels, severity, draws))

    found = {name: accuracies(name) for name in CORRUPTIONS}
    counted = [value for name, values in found.items() if name not in EXTRA for value in values]
    return {**found, "mean": sum(counted) / len(counted)}


def compute(context: EvaluationContext) -> dict[str, float | list[float]]:
    """Metric "corruption" on the test images."""
    return corrupted_accuracy(context.model, whole_images(context.splits.test), context.seed, context.on_start)
