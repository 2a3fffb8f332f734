"""CutMix: Regularization Strategy to Train Strong Classifiers (https://arxiv.org/abs/1905.04899)."""

from selfdistill.data.mixing import Mixing
from selfdistill.method import Method
from selfdistill.method.constructor import Positive, Share, method_constructor


@method_constructor
def cutmix(alpha: Positive = 1.0, chance: Share = 0.5) -> Method:
    """Rectangles pasted from other images, labels weighted by area (Yun et al., 2019, arXiv:1905.04899).

    `chance` is the probability that a batch is mixed; the kept area is drawn from Beta(alpha, alpha).

    >>> from selfdistill.methods import cutmix
    >>> print(cutmix(chance=1.0).text)
    cutmix(chance=1.0)
    """
    return Method(mixing=Mixing(alpha, paste=True, chance=chance))
