"""Common corruptions at five severities (Hendrycks and Dietterich, 2019), with CIFAR-10-C's parameters.

Of its fifteen, frost is left out (it needs photographs); of its four more, spatter. Parameters, order of
operations, borders and rounding are those of the published program; random numbers are our own, and motion
blur and snow lack ImageMagick's rounding between. Lengths are those of 32-pixel images, in proportion.
"""

from collections.abc import Callable

from torch import Generator, Tensor

from selfdistill.data import Images
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
EXTRA = ("speckle_noise", "gaussian_blur", "saturate")  # published for choices, not part of the mean


def corrupted_accuracy(
    subject: EvaluatedModel, images: Images, seed: int, tell: Callable[[str], object] = str
) -> dict[str, float | list[float]]:
    """Percent right under each corruption at severities 1 to 5, and "mean" over all but the extra ones.

    `tell` is given the name of each before its passes.
    """

    def accuracies(name: str) -> list[float]:
        tell(name)
        return [corrupted(name, severity) for severity in SEVERITIES]

    def corrupted(name: str, severity: int) -> float:
        draws = make_generator(seed, name, severity)
        return subject.accuracy(images, lambda pixels, _: CORRUPTIONS[name](pixels, severity, draws))

    found = {name: accuracies(name) for name in CORRUPTIONS}
    counted = [value for name, values in found.items() if name not in EXTRA for value in values]
    return {**found, "mean": sum(counted) / len(counted)}
