"""Attention Transfer (https://arxiv.org/abs/1612.03928)."""

from selfdistill.functional import as_maps_of_one_size, attention, l2_normalize, scale_by_max
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Power, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms.pairs import StagePairs


class SameAttention(StagePairs):
    """The student looks where the teacher looks, stage by stage."""

    needs_spatial = True  # in a 1x1 map all attention is alike

    def __init__(self, power: float, weight: float):
        super().__init__()
        self.power, self.weight = power, weight

    def compare(self, student, teacher):
        """Mean squared difference of the two normalised attention maps."""
        one, other = as_maps_of_one_size(student, teacher)
        return (self.looks(one) - self.looks(other)).square().mean()

    def looks(self, features):
        """The attention map of each image, of length 1. [B, D, H, W] -> [B, H·W]."""
        even = scale_by_max(features.flatten(1)).view_as(features)  # the scale cancels; no power overflows
        return l2_normalize(attention(even, self.power))


@method_constructor
def at(teacher: str | None = None, weight: NotNegative = 1000.0, power: Power = 2.0) -> Method:
    """The labels, and where a frozen teacher looks at each stage."""
    return Method({"attention": SameAttention(power, weight)}, networks={"teacher": teacher_role(teacher)})
