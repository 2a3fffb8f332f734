"""Revisiting Knowledge Distillation via Label Smoothing Regularization (https://arxiv.org/abs/1909.11723)."""

from typing import Literal

from selfdistill.data.mixing import label_shares
from selfdistill.functional import kl_divergence, kl_to_probabilities, softmax_with_temperature
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import ForwardPass, LossTerm, StepContext


class TeacherFree(LossTerm):
    """What takes a better teacher's place; its mean is over rows, or over classes too."""

    def __init__(self, temperature: float, multiplier: float, mean: str, correct: float, weight: float):
        super().__init__()
        self.temperature, self.multiplier, self.mean = temperature, multiplier, mean
        self.correct, self.weight = correct, weight

    def factor(self, logits) -> float:
        """m, or m / C."""
        return self.multiplier / logits.shape[1] if self.mean == "all" else self.multiplier


class FormerSelf(TeacherFree):
    """The same network, trained before."""

    views = (ForwardPass("teacher", grad=False, network="teacher"),)

    def loss(self, context: StepContext):
        """T² KL(teacher || student), times the factor."""
        return self.factor(context.logits) * kl_divergence(
            context.logits, context.views["teacher"].logits, self.temperature
        )


class VirtualTeacher(TeacherFree):
    """A teacher made by hand: always right, and almost sure."""

    def loss(self, context: StepContext):
        """KL(softmax(u / T) || student) times the factor; u_y is correct, the rest spread over the other classes."""
        shares = label_shares(context.batch, context.logits.shape[1]).to(context.logits.dtype)
        rest = (1 - self.correct) / (shares.shape[1] - 1)
        told = softmax_with_temperature(rest + (self.correct - rest) * shares, self.temperature)
        return self.factor(context.logits) * kl_to_probabilities(context.logits, told)


@method_constructor
def tf_kd(
    kind: Literal["self", "reg"] = "self",
    teacher: str | None = None,
    alpha: Share = 0.95,
    temperature: Positive = 6.0,
    multiplier: NotNegative = 1.0,
    mean: Literal["rows", "all"] = "rows",
    correct: Share = 0.99,
) -> Method:
    """The student's former self teaches, or with `kind="reg"` a virtual teacher."""
    term = (FormerSelf if kind == "self" else VirtualTeacher)(temperature, multiplier, mean, correct, alpha)
    networks = {"teacher": teacher_role(teacher)} if kind == "self" else {}
    return Method({"free": term}, task_weight=1.0 - alpha, networks=networks)
