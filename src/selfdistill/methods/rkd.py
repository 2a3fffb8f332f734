"""Relational Knowledge Distillation (https://arxiv.org/abs/1904.05068)."""

import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional import angles, distances, offsets
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms.pairs import EmbeddingPairs


class DistanceAndAngle(EmbeddingPairs):
    """Pairwise distances and triplet angles of embeddings match the teacher's."""

    def __init__(self, distance: float, angle: float):
        super().__init__()
        self.distance, self.angle = distance, angle

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute Huber losses between the two networks' distances and between their angles."""
        own, theirs = offsets(student), offsets(teacher)
        far = F.smooth_l1_loss(distances(own), distances(theirs))
        turned = F.smooth_l1_loss(angles(own), angles(theirs))
        return self.distance * far + self.angle * turned


@method_constructor
def rkd(teacher: str | None = None, distance: NonNegative = 25.0, angle: NonNegative = 50.0) -> Method:
    """Distances and angles between a frozen teacher's embeddings (Park et al., 2019, arXiv:1904.05068).

    >>> from selfdistill.methods import rkd
    >>> print(rkd(angle=0.0).text)
    rkd(angle=0.0)
    """
    return Method({"relations": DistanceAndAngle(distance, angle)}, networks={"teacher": teacher_role(teacher)})
