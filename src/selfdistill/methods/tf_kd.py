"""Revisiting Knowledge Distillation via Label Smoothing Regularization (https://arxiv.org/abs/1909.11723)."""

from typing import Literal

from selfdistill.data.mixing import label_shares
from selfdistill.functional import kl, kl_to, softened
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Share, recipe
from selfdistill.method.networks import teaching
from selfdistill.terms import Seen, Term, View


class TeacherFree(Term):
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

    views = (View("teacher", grad=False, network="teacher"),)

    def loss(self, seen: Seen):
        """T² KL(teacher || student), times the factor."""
        return self.factor(seen.logits) * kl(seen.logits, seen.views["teacher"].logits, self.temperature)


class VirtualTeacher(TeacherFree):
    """A teacher made by hand: always right, and almost sure."""

    def loss(self, seen: Seen):
        """KL(softmax(u / T) || student) times the factor; u_y is correct, the rest spread over the other classes."""
        shares = label_shares(seen.batch, seen.logits.shape[1]).to(seen.logits.dtype)
        rest = (1 - self.correct) / (shares.shape[1] - 1)
        told = softened(rest + (self.correct - rest) * shares, self.temperature)
        return self.factor(seen.logits) * kl_to(seen.logits, told)


@recipe
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
    networks = {"teacher": teaching(teacher)} if kind == "self" else {}
    return Method({"free": term}, task_weight=1.0 - alpha, networks=networks)
