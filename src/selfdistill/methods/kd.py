"""Distilling the Knowledge in a Neural Network (https://arxiv.org/abs/1503.02531), and by later divergences."""

from typing import Literal

from selfdistill.errors import UserError
from selfdistill.functional import kl_through_teacher, teacher_divergence
from selfdistill.heads import CurriculumTemperature
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, LossValue, StepContext


class TeacherLogits(LossTerm):
    """A divergence from the predictions of a frozen teacher."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)

    def __init__(self, divergence: str, options: tuple[float, float, float], warmup: float, curriculum: bool):
        super().__init__()
        self.divergence, self.options, self.ramp_epochs = divergence, options, warmup
        self.learned, self.uses_progress = CurriculumTemperature() if curriculum else None, warmup > 0 or curriculum
        self.needs_labels, self.supports_mixup = (True, False) if divergence in ("dkd", "nkd") else (False, True)
        self.min_batch_size, self.reduction = (2, "batch") if divergence == "dist" else (1, "mean")

    def loss(self, context: StepContext) -> LossValue:
        """Compute T² KL or another divergence, with its warmup; a learned T has a gradient through both sides."""
        logits, teacher, progress = context.logits, context.views["teacher"].logits, context.progress
        if self.learned is None:
            far = teacher_divergence(self.divergence, logits, teacher, context.batch.labels, *self.options)
        else:
            far = self.options[1] * kl_through_teacher(logits, teacher, self.learned(progress.epoch))
        return progress.linear_ramp(self.ramp_epochs) * far if self.ramp_epochs else far


@method_constructor
def kd(
    teacher: str | None = None,
    alpha: Share = 0.9,
    temperature: Positive = 4.0,
    divergence: Literal["kl", "standardized", "dkd", "dist", "nkd", "ttm", "wttm"] = "kl",
    beta: NonNegative = 1.0,
    gamma: NonNegative = 1.0,
    labels: Literal["rest", "whole"] = "rest",
    warmup: NonNegative = 0.0,
    curriculum: bool = False,
) -> Method:
    """(1 - alpha) · cross-entropy, or all of it, plus alpha · divergence from a frozen teacher (Hinton et al., 2015).

    >>> from selfdistill.methods import kd
    >>> print(kd(alpha=0.5, divergence="dkd").weights)
    {'task': 0.5, 'teacher': 0.5}
    """
    if curriculum and divergence != "kl":
        raise UserError(f"kd(curriculum=True) learns the temperature of 'kl', not of {divergence!r}; leave one out")
    term = TeacherLogits(divergence, (temperature, beta, gamma), warmup, curriculum)
    term.weight, task_weight = alpha, 1.0 if labels == "whole" else 1.0 - alpha
    return Method({"teacher": term}, task_weight=task_weight, networks={"teacher": teacher_role(teacher)})
