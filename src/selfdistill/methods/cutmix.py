"""CutMix: Regularization Strategy to Train Strong Classifiers (https://arxiv.org/abs/1905.04899)."""

from selfdistill.method import Method, Paper
from selfdistill.mixing import Mixing
from selfdistill.recipe import Positive, Share, recipe

PAPER = Paper(
    "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
    "Yun, Sangdoo and Han, Dongyoon and Oh, Seong Joon and Chun, Sanghyuk and Choe, Junsuk and Yoo, Youngjoon",
    2019,
    "ICCV",
    "https://arxiv.org/abs/1905.04899",
)


@recipe(PAPER)
def cutmix(alpha: Positive = 1.0, chance: Share = 0.5) -> Method:
    """A rectangle of another image is pasted into each, and the labels count by the areas."""
    return Method(mixing=Mixing(alpha, paste=True, chance=chance))
