"""Random views of arrays that are images: crops, flips and erasing, of any number of channels and range of values."""

from dataclasses import replace

import torch
from torch import Tensor

from selfdistill.data.augment import Augmentation
from selfdistill.data.augment_recipe import AugmentRecipe
from selfdistill.data.examples import TensorSplits
from selfdistill.data.image_augment import image_augmentation
from selfdistill.errors import UserError
from selfdistill.task import SEGMENT

IMAGE = 4  # dimensions of a batch


class ArrayViews(Augmentation):
    """Augmentation of standardized images, where 0 is the mean of a channel: what lies outside of them is 0.

    >>> ArrayViews(0, False, (), ()).plain(torch.ones(1, 5, 2, 2)).shape
    torch.Size([1, 5, 2, 2])
    """

    def plain(self, images: Tensor) -> Tensor:
        """Return standardized images as they are, in channels_last."""
        return images.contiguous(memory_format=torch.channels_last)


def array_views(splits: TensorSplits, recipe: AugmentRecipe) -> ArrayViews | None:
    """Return the views of a recipe; None for none, as of "auto", since arrays do not say what keeps their class.

    Raises `UserError` for arrays that are no images with labels of their own, and for changes of colors.
    """
    if recipe.name == "auto":
        recipe = replace(recipe, pad=False, flip=bool(recipe.flip))
    flip, image = recipe.flip is not False, image_augmentation(recipe)
    if not (recipe.pad or flip or image):
        return None
    values = splits.train.inputs
    if not isinstance(values, Tensor) or values.dim() != IMAGE or splits.task == SEGMENT:
        raise UserError(
            f"{splits.name} is not one array of images [N, C, H, W] with a class or tags for each, which alone are "
            "cropped, flipped and erased; leave --augment at auto, and its parts out"
        )
    if recipe.policy or recipe.jitter:
        raise UserError(
            f"{splits.name} has arrays of {values.shape[1]} channels, but policies and jitter change colors of 8 bits; "
            "leave them out, or read 8-bit images of one or three channels by npz:FILE"
        )
    return ArrayViews(min(values.shape[2:]) // 8 if recipe.pad else 0, flip, (), (), image)
