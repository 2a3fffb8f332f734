"""Distilling the Knowledge in a Neural Network (https://arxiv.org/abs/1503.02531), and by later divergences."""

from typing import Literal

from selfdistill.functional import dist_loss, dkd_loss, kl_divergence, logit_standardization_kd, nkd_loss
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, StepContext


class TeacherLogits(LossTerm):
    """A frozen network trained before, shown the same images, is the teacher."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)

    def __init__(self, temperature: float, weight: float, divergence: str, beta: float, gamma: float, warmup: float):
        super().__init__()
        self.temperature, self.weight, self.warmup, self.uses_progress = temperature, weight, warmup, warmup > 0
        self.divergence, self.beta, self.gamma = divergence, beta, gamma
        self.supports_mixup = divergence not in ("dkd", "nkd")
        self.min_batch_size, self.reduction = (2, "batch") if divergence == "dist" else (1, "mean")

    def loss(self, context: StepContext):
        """How far the student is from the teacher: T² KL, or another divergence."""
        far = self.between(context.logits, context.views["teacher"].logits, context.batch.labels)
        return context.progress.ramp(self.warmup) * far if self.uses_progress else far

    def between(self, student, teacher, labels):
        """The divergence that was asked for. [B, C], [B, C], [B] -> []."""
        match self.divergence:
            case "dkd":
                return dkd_loss(student, teacher, labels, self.temperature, self.beta, self.gamma)
            case "dist":
                return dist_loss(student, teacher, self.temperature, self.beta, self.gamma)
            case "nkd":
                return nkd_loss(student, teacher, labels, self.temperature, self.beta, self.gamma)
            case "standardized":
                return self.beta * logit_standardization_kd(student, teacher, self.temperature)
        return self.beta * kl_divergence(student, teacher, self.temperature)


@method_constructor
def kd(
    teacher: str | None = None,
    alpha: Share = 0.9,
    temperature: Positive = 4.0,
    divergence: Literal["kl", "standardized", "dkd", "dist", "nkd"] = "kl",
    beta: NotNegative = 1.0,
    gamma: NotNegative = 1.0,
    labels: Literal["rest", "whole"] = "rest",
    warmup: NotNegative = 0.0,
) -> Method:
    """(1 - alpha) of cross-entropy, or all of it; alpha of a divergence from a frozen teacher's predictions."""
    return Method(
        terms={"teacher": TeacherLogits(temperature, alpha, divergence, beta, gamma, warmup)},
        task_weight=1.0 if labels == "whole" else 1.0 - alpha,
        networks={"teacher": teacher_role(teacher)},
    )
