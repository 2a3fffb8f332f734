"""Relational Knowledge Distillation (https://arxiv.org/abs/1904.05068)."""

import torch.nn.functional as F

from selfdistill.functional import angles, distances, offsets
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms.pairs import EmbeddingPairs


class Relations(EmbeddingPairs):
    """Images lie to one another as they do for the teacher: at such distances, under such angles."""

    def __init__(self, distance: float, angle: float):
        super().__init__()
        self.distance, self.angle = distance, angle

    def compare(self, student, teacher):
        """Huber's loss between the two networks' distances, and between their angles."""
        own, theirs = offsets(student), offsets(teacher)
        far = F.smooth_l1_loss(distances(own), distances(theirs))
        turned = F.smooth_l1_loss(angles(own), angles(theirs))
        return self.distance * far + self.angle * turned


@method_constructor
def rkd(teacher: str | None = None, distance: NotNegative = 25.0, angle: NotNegative = 50.0) -> Method:
    """The labels, and the distances and angles between a frozen teacher's embeddings."""
    return Method({"relations": Relations(distance, angle)}, networks={"teacher": teacher_role(teacher)})
