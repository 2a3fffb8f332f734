"""Attention Transfer (https://arxiv.org/abs/1612.03928)."""

from selfdistill.functional import attention, same_size, spread, unit
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Power, recipe
from selfdistill.method.networks import teaching
from selfdistill.terms.pairs import StagePairs


class SameAttention(StagePairs):
    """The student looks where the teacher looks, stage by stage."""

    maps = True  # in a 1x1 map all attention is alike

    def __init__(self, power: float, weight: float):
        super().__init__()
        self.power, self.weight = power, weight

    def gap(self, student, teacher):
        """Mean squared difference of the two normalised attention maps."""
        one, other = same_size(student, teacher)
        return (self.looks(one) - self.looks(other)).square().mean()

    def looks(self, features):
        """The attention map of each image, of length 1. [B, D, H, W] -> [B, H·W]."""
        even = spread(features.flatten(1)).view_as(features)  # the scale cancels; no power overflows
        return unit(attention(even, self.power))


@recipe
def at(teacher: str | None = None, weight: NotNegative = 1000.0, power: Power = 2.0) -> Method:
    """The labels, and where a frozen teacher looks at each stage."""
    return Method({"attention": SameAttention(power, weight)}, networks={"teacher": teaching(teacher)})
