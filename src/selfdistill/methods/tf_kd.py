"""Revisiting Knowledge Distillation via Label Smoothing Regularization (https://arxiv.org/abs/1909.11723)."""

from typing import Literal

from torch import Tensor

from selfdistill.data.mixing import label_shares
from selfdistill.functional import kl_divergence, kl_to_probabilities, virtual_teacher
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext


class TeacherFree(LossTerm):
    """KL to a substitute for a better teacher: the network trained before, or a fixed distribution."""

    def __init__(self, pretrained: bool, temperature: float, multiplier: float, mean: str, correct: float):
        super().__init__()
        self.temperature, self.multiplier, self.mean, self.correct = temperature, multiplier, mean, correct
        self.views = (ForwardPass("teacher", grad=False, network="teacher"),) if pretrained else ()
        self.needs_labels = not pretrained

    def loss(self, context: StepContext) -> LossValue:
        """Compute KL times m, or times m / C for a mean over classes too."""
        classes = context.logits.shape[1] if self.mean == "all" else 1
        return self.multiplier / classes * self.divergence(context)

    def divergence(self, context: StepContext) -> Tensor:
        """Compute T² KL(teacher || student), or KL(softmax(u / T) || student)."""
        if self.views:
            return kl_divergence(context.logits, context.views["teacher"].logits, self.temperature)
        shares = label_shares(context.batch, context.logits.shape[1]).to(context.logits.dtype)
        return kl_to_probabilities(context.logits, virtual_teacher(shares, self.correct, self.temperature))


@method_constructor
def tf_kd(
    kind: Literal["self", "reg"] = "self",
    teacher: str | None = None,
    alpha: Share = 0.95,
    temperature: Positive = 6.0,
    multiplier: NonNegative = 1.0,
    mean: Literal["rows", "all"] = "rows",
    correct: Share = 0.99,
) -> Method:
    """Self-training, or with `kind="reg"` a virtual teacher (Yuan et al., 2020, arXiv:1909.11723).

    >>> from selfdistill.methods import tf_kd
    >>> print(tf_kd().teachers, tf_kd(kind="reg").teachers)
    ('teacher',) ()
    """
    term = TeacherFree(kind == "self", temperature, multiplier, mean, correct)
    term.weight = alpha
    networks = {"teacher": teacher_role(teacher)} if kind == "self" else {}
    return Method({"free": term}, task_weight=1.0 - alpha, networks=networks)
