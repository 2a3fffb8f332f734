"""Operations of augmentation policies on one image, by torchvision's kernels."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as V

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = "Tensor | Image.Image"  # uint8 [C, H, W], or an image of Pillow
MAX = 255  # of a pixel


class Operation(NamedTuple):
    """An operation and its magnitude, in the operation's own unit."""

    name: str
    magnitude: float = 0.0


def apply_operation(image: Picture, operation: Operation) -> Picture:
    """Apply one operation; where an image is moved, what was outside is black. [C, H, W] -> [C, H, W].

    >>> apply_operation(torch.zeros(3, 2, 2, dtype=torch.uint8), Operation("Invert")).unique()
    tensor([255], dtype=torch.uint8)
    """
    changed: Picture = OPERATIONS[operation.name](image, operation.magnitude)
    return changed


def _affine(image: Picture, **moved: Any) -> Any:
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    return V.affine(image, **still | moved, interpolation=InterpolationMode.BILINEAR)


def _degrees(slope: float) -> float:
    return math.degrees(math.atan(slope))


OPERATIONS: dict[str, Callable[[Any, float], Any]] = {
    "Identity": lambda image, _: image,
    "ShearX": lambda image, slope: _affine(image, shear=[_degrees(slope), 0.0], center=[0, 0]),
    "ShearY": lambda image, slope: _affine(image, shear=[0.0, _degrees(slope)], center=[0, 0]),
    "TranslateX": lambda image, pixels: _affine(image, translate=[int(pixels), 0]),
    "TranslateY": lambda image, pixels: _affine(image, translate=[0, int(pixels)]),
    "Rotate": lambda image, degrees: V.rotate(image, degrees, interpolation=InterpolationMode.BILINEAR),
    "Brightness": lambda image, change: V.adjust_brightness(image, 1 + change),
    "Color": lambda image, change: V.adjust_saturation(image, 1 + change),
    "Contrast": lambda image, change: V.adjust_contrast(image, 1 + change),
    "Sharpness": lambda image, change: V.adjust_sharpness(image, 1 + change),
    "Posterize": lambda image, bits: V.posterize(image, int(bits)),
    "Solarize": lambda image, share: V.solarize(image, MAX * share),
    "AutoContrast": lambda image, _: V.autocontrast(image),
    "Equalize": lambda image, _: V.equalize(image),
    "Invert": lambda image, _: V.invert(image),
}
