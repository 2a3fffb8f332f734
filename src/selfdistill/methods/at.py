"""Attention Transfer (https://arxiv.org/abs/1612.03928)."""

from torch import Tensor

from selfdistill.functional import as_maps_of_one_size, attention, l2_normalize, present_share, scale_by_max
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Power, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms.pairs import StagePairs


class AttentionTransfer(StagePairs):
    """Mean squared difference of normalized attention maps between student and teacher stages."""

    needs_spatial = compares_norms = True  # in a 1x1 map all attention is alike

    def __init__(self, power: float, weight: float):
        super().__init__()
        self.power, self.weight = power, weight

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean squared difference of the normalized attention maps, over positions or tokens present."""
        one, other = as_maps_of_one_size(student, teacher)
        gaps = (self.attention_map(one) - self.attention_map(other)).square()
        return (gaps / present_share(student)).mean()

    def attention_map(self, features: Tensor) -> Tensor:
        """Compute each image's attention map with L2 norm 1. [B, D, *sides] -> [B, P]."""
        even = scale_by_max(features.flatten(1)).view_as(features)  # the scale cancels; no power overflows
        return l2_normalize(attention(even, self.power))


@method_constructor
def at(teacher: str | None = None, weight: NonNegative = 1000.0, power: Power = 2.0) -> Method:
    """Attention transfer from a frozen teacher, stage by stage (Zagoruyko and Komodakis, 2017, arXiv:1612.03928).

    >>> from selfdistill.methods import at
    >>> print(at(weight=500.0).text)
    at(weight=500.0)
    """
    return Method({"attention": AttentionTransfer(power, weight)}, networks={"teacher": teacher_role(teacher)})
