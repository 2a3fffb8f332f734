"""Views of an image whose probabilities are averaged: test-time augmentation."""

from collections.abc import Callable, Iterator
from typing import Literal

from torch import Tensor

from selfdistill.errors import UserError

Views = Literal["none", "flip", "five-crop", "ten-crop"]
CHOICES: tuple[Views, ...] = ("none", "flip", "five-crop", "ten-crop")
LARGER = 8 / 7  # side of the image that crops are cut from, in sides of a crop: 256 to 224


def parse_views(text: str) -> Views:
    """Return a test-time augmentation by its name. Raises `UserError` for an unknown one."""
    for views in CHOICES:
        if text == views:
            return views
    raise UserError(f"there is no test-time augmentation {text!r}; there are {', '.join(CHOICES)}")


def side_of_views(views: Views, side: int) -> int:
    """Side of the image that the views of a network's input are cut from, in pixels.

    >>> side_of_views("five-crop", 224)
    256
    """
    return round(side * LARGER) if views.endswith("crop") else side


def mean_over_views(images: Tensor, views: Views, side: int, predict: Callable[[Tensor], Tensor]) -> Tensor:
    """Average what `predict` maps views to, [B, 3, side, side] -> [B, K]. [B, 3, S, S] -> [B, K].

    Crops are the four corners and the center; ten crops are those and their mirror images.

    >>> mean_over_views(torch.arange(2.0).view(1, 1, 1, 2), "flip", 2, lambda view: view[..., 0])
    tensor([[[0.5000]]])
    """
    found = [predict(view) for view in _views(images, views, side)]
    total = found[0]
    for each in found[1:]:
        total = total + each
    return total / len(found)


def _views(images: Tensor, views: Views, side: int) -> Iterator[Tensor]:
    for crop in _crops(images, side) if views.endswith("crop") else [images]:
        yield crop
        if views in ("flip", "ten-crop"):
            yield crop.flip(-1)


def _crops(images: Tensor, side: int) -> Iterator[Tensor]:
    """Yield the corners and the center. [B, 3, S, S] -> [B, 3, side, side] each."""
    free = images.shape[-1] - side
    for top, left in ((0, 0), (0, free), (free, 0), (free, free), (free // 2, free // 2)):
        yield images[..., top : top + side, left : left + side]
