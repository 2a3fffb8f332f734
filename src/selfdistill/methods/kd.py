"""Distilling the Knowledge in a Neural Network (https://arxiv.org/abs/1503.02531), and by later divergences."""

from typing import Literal

from torch import Tensor

from selfdistill.functional import dist_loss, dkd_loss, kl_divergence, logit_standardization_kd, nkd_loss
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext


class TeacherLogits(LossTerm):
    """A divergence from the predictions of a frozen teacher."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)

    def __init__(self, temperature: float, weight: float, divergence: str, beta: float, gamma: float, warmup: float):
        super().__init__()
        self.temperature, self.weight, self.ramp_epochs, self.uses_progress = temperature, weight, warmup, warmup > 0
        self.divergence, self.beta, self.gamma = divergence, beta, gamma
        self.needs_labels, self.supports_mixup = (True, False) if divergence in ("dkd", "nkd") else (False, True)
        self.min_batch_size, self.reduction = (2, "batch") if divergence == "dist" else (1, "mean")

    def loss(self, context: StepContext) -> LossValue:
        """Compute T² KL or another divergence, with its warmup."""
        far = self.distance(context.logits, context.views["teacher"].logits, context.batch.labels)
        return context.progress.linear_ramp(self.ramp_epochs) * far if self.uses_progress else far

    def distance(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """Compute the chosen divergence. [B, C], [B, C], [B] -> []."""
        if self.divergence == "dist":
            return dist_loss(student, teacher, self.temperature, self.beta, self.gamma)
        if decoupled := {"dkd": dkd_loss, "nkd": nkd_loss}.get(self.divergence):
            return decoupled(student, teacher, labels, self.temperature, self.beta, self.gamma)
        divergence = kl_divergence if self.divergence == "kl" else logit_standardization_kd
        return self.beta * divergence(student, teacher, self.temperature)


@method_constructor
def kd(
    teacher: str | None = None,
    alpha: Share = 0.9,
    temperature: Positive = 4.0,
    divergence: Literal["kl", "standardized", "dkd", "dist", "nkd"] = "kl",
    beta: NonNegative = 1.0,
    gamma: NonNegative = 1.0,
    labels: Literal["rest", "whole"] = "rest",
    warmup: NonNegative = 0.0,
) -> Method:
    """(1 - alpha) · cross-entropy, or all of it, plus alpha · divergence from a frozen teacher (Hinton et al., 2015).

    >>> from selfdistill.methods import kd
    >>> print(kd(alpha=0.5, divergence="dkd").weights)
    {'task': 0.5, 'teacher': 0.5}
    """
    term = TeacherLogits(temperature, alpha, divergence, beta, gamma, warmup)
    task_weight = 1.0 if labels == "whole" else 1.0 - alpha
    return Method({"teacher": term}, task_weight=task_weight, networks={"teacher": teacher_role(teacher)})
