"""CutMix: Regularization Strategy to Train Strong Classifiers (https://arxiv.org/abs/1905.04899)."""

from selfdistill.data.mixing import Mixing
from selfdistill.method import Method
from selfdistill.method.constructor import Positive, Share, method_constructor


@method_constructor
def cutmix(alpha: Positive = 1.0, chance: Share = 0.5) -> Method:
    """A rectangle of another image is pasted into each, and the labels count by the areas."""
    return Method(mixing=Mixing(alpha, paste=True, chance=chance))
