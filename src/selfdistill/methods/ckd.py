"""CKD: Contrastive Knowledge Distillation from a Sample-wise Perspective (https://arxiv.org/abs/2404.14109)."""

import torch
import torch.nn.functional as F

from selfdistill.functional import cosine_logits
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext


class SampleContrast(LossTerm):
    """Each row of the teacher's logits is most similar to the student's logits of the same example."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)
    min_batch_size, reduction = 2, "batch"
    supports_tags = False  # directions of two logits, one of them zero, are all alike

    def __init__(self, temperature: float, both: bool, weight: float):
        super().__init__()
        self.temperature, self.both, self.weight = temperature, both, weight

    def loss(self, context: StepContext) -> LossValue:
        """Compute CE of the cosines over T with the diagonal: the teacher's rows, or both networks'."""
        cosines = cosine_logits(context.views["teacher"].logits, context.logits) / self.temperature
        own = torch.arange(len(cosines), device=cosines.device)
        contrast = F.cross_entropy(cosines, own)
        return (contrast + F.cross_entropy(cosines.T, own)) / 2 if self.both else contrast


@method_constructor
def ckd(
    teacher: str | None = None, weight: NonNegative = 100.0, temperature: Positive = 1.0, both: bool = False
) -> Method:
    """Contrast of a teacher's and the student's logits within a batch (Zhu et al., 2024, arXiv:2404.14109).

    >>> from selfdistill.methods import ckd
    >>> print(ckd(weight=10.0).text)
    ckd(weight=10.0)
    """
    return Method({"samples": SampleContrast(temperature, both, weight)}, networks={"teacher": teacher_role(teacher)})
