"""Neuron Selectivity Transfer (https://arxiv.org/abs/1707.01219)."""

from selfdistill.maths import same_size, unit
from selfdistill.method import Method
from selfdistill.pairs import StagePairs
from selfdistill.recipe import NotNegative, recipe
from selfdistill.roles import teaching


class Selectivity(StagePairs):
    """The student's channels fire where the teacher's do, whichever they are."""

    maps = True  # in a 1x1 map every channel fires in the one place

    def __init__(self, weight: float):
        super().__init__()
        self.weight = weight

    def gap(self, student, teacher):
        """Squared maximum mean discrepancy of the two sets of channels under the kernel <a, b>²."""
        own, theirs = (unit(each.flatten(2)) for each in same_size(student, teacher))
        return kernel(theirs, theirs) + kernel(own, own) - 2 * kernel(own, theirs)


def kernel(one, other):
    """Mean of <a, b>² over images and pairs of channels. [B, D, P], [B, E, P] -> []."""
    return (one @ other.transpose(1, 2)).square().mean()


@recipe
def nst(teacher: str | None = None, weight: NotNegative = 50.0) -> Method:
    """The labels, and where the channels of a frozen teacher fire."""
    return Method({"selectivity": Selectivity(weight)}, networks={"teacher": teaching(teacher)})
