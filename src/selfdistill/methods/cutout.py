"""Improved Regularization of Convolutional Neural Networks with Cutout (https://arxiv.org/abs/1708.04552)."""

from selfdistill.data.mixing import Erasing
from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor


@method_constructor
def cutout(share: Share = 0.5) -> Method:
    """A square erased from each image, its side a share of the image's (DeVries and Taylor, 2017, arXiv:1708.04552).

    >>> from selfdistill.methods import cutout
    >>> print(cutout(share=0.25).erasing)
    Erasing(share=0.25)
    """
    return Method(erasing=Erasing(share))
