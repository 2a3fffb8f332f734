"""mixup: Beyond Empirical Risk Minimization (https://arxiv.org/abs/1710.09412)."""

from typing import Literal

from selfdistill.data.mixing import Mixing
from selfdistill.method import Method
from selfdistill.method.constructor import Plural, Positive, method_constructor


@method_constructor
def mixup(alpha: Positive = 1.0, per: Literal["batch", "row"] = "batch", images: Plural = 2) -> Method:
    """Convex combinations of images and labels, shares from Beta(alpha, alpha) (Zhang et al., 2018, arXiv:1710.09412).

    Shares are drawn per batch or per row; each row mixes `images` rows.

    >>> from selfdistill.methods import mixup
    >>> print(mixup(alpha=0.2, per="row").text)
    mixup(alpha=0.2, per='row')
    """
    return Method(mixing=Mixing(alpha, per, images))
