"""Neuron Selectivity Transfer (https://arxiv.org/abs/1707.01219)."""

import torch
from torch import Tensor

from selfdistill.functional import EPS, as_maps_of_one_size, scale_by_max
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms.pairs import StagePairs


class NeuronSelectivity(StagePairs):
    """MMD between the activation patterns of student and teacher channels."""

    needs_spatial = True  # in a 1x1 map every channel has the one pattern

    def __init__(self, weight: float):
        super().__init__()
        self.weight = weight

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the squared maximum mean discrepancy of the two sets of channels under the kernel <a, b>²."""
        own, theirs = (channel_patterns(each) for each in as_maps_of_one_size(student, teacher))
        return mean_kernel(theirs, theirs) + mean_kernel(own, own) - 2 * mean_kernel(own, theirs)


def channel_patterns(maps: Tensor) -> Tensor:
    """Normalize each channel's activation pattern to L2 norm 1. [B, D, H, W] -> [B, D, P].

    A channel weaker than a hundredth of the image's mean keeps a smaller norm: scaling it up would
    scale up its gradient as much.
    """
    channels = scale_by_max(maps.flatten(1)).view_as(maps).flatten(2)
    strength = channels.square().sum(dim=2, keepdim=True).clamp_min(EPS**2).sqrt()
    weakest = strength.detach().mean(dim=1, keepdim=True) / 100
    return channels / torch.maximum(strength, weakest)


def mean_kernel(one: Tensor, other: Tensor) -> Tensor:
    """Compute the mean of <a, b>² over images and pairs of channels. [B, D, P], [B, E, P] -> []."""
    return (one @ other.transpose(1, 2)).square().mean()


@method_constructor
def nst(teacher: str | None = None, weight: NonNegative = 50.0) -> Method:
    """Channel selectivity of a frozen teacher, by MMD (Huang and Wang, 2017, arXiv:1707.01219).

    >>> from selfdistill.methods import nst
    >>> print(nst(weight=10.0).text)
    nst(weight=10.0)
    """
    return Method({"selectivity": NeuronSelectivity(weight)}, networks={"teacher": teacher_role(teacher)})
