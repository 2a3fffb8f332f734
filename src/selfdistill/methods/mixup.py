"""mixup: Beyond Empirical Risk Minimization (https://arxiv.org/abs/1710.09412)."""

from typing import Literal

from selfdistill.data.mixing import Mixing
from selfdistill.method import Method
from selfdistill.method.constructor import Positive, Several, method_constructor


@method_constructor
def mixup(alpha: Positive = 1.0, per: Literal["batch", "row"] = "batch", images: Several = 2) -> Method:
    """Images and labels in pairs, mixed by a share drawn from Beta(alpha, alpha)."""
    return Method(mixing=Mixing(alpha, per, images))
