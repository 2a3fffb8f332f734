"""Improved Regularization of Convolutional Neural Networks with Cutout (https://arxiv.org/abs/1708.04552)."""

from selfdistill.data.mixing import Erasing
from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor


@method_constructor
def cutout(share: Share = 0.5) -> Method:
    """A square of each image is erased, its side a share of the image's."""
    return Method(erasing=Erasing(share))
