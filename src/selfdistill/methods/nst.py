"""Neuron Selectivity Transfer (https://arxiv.org/abs/1707.01219)."""

import torch

from selfdistill.functional import EPS, as_maps_of_one_size, scale_by_max
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms.pairs import StagePairs


class Selectivity(StagePairs):
    """The student's channels fire where the teacher's do, whichever they are."""

    needs_spatial = True  # in a 1x1 map every channel fires in the one place

    def __init__(self, weight: float):
        super().__init__()
        self.weight = weight

    def compare(self, student, teacher):
        """Squared maximum mean discrepancy of the two sets of channels under the kernel <a, b>²."""
        own, theirs = (fired(each) for each in as_maps_of_one_size(student, teacher))
        return kernel(theirs, theirs) + kernel(own, own) - 2 * kernel(own, theirs)


def fired(maps):
    """Where each channel fires, as a row of length 1. [B, D, H, W] -> [B, D, P].

    One that is a hundredth as strong as the image's mean stays weaker: scaled up, its gradient would be as many
    times larger than that of any other.
    """
    channels = scale_by_max(maps.flatten(1)).view_as(maps).flatten(2)
    strength = channels.square().sum(dim=2, keepdim=True).clamp_min(EPS**2).sqrt()
    weakest = strength.detach().mean(dim=1, keepdim=True) / 100
    return channels / torch.maximum(strength, weakest)


def kernel(one, other):
    """Mean of <a, b>² over images and pairs of channels. [B, D, P], [B, E, P] -> []."""
    return (one @ other.transpose(1, 2)).square().mean()


@method_constructor
def nst(teacher: str | None = None, weight: NotNegative = 50.0) -> Method:
    """The labels, and where the channels of a frozen teacher fire."""
    return Method({"selectivity": Selectivity(weight)}, networks={"teacher": teacher_role(teacher)})
