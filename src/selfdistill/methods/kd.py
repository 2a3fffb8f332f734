"""Distilling the Knowledge in a Neural Network (https://arxiv.org/abs/1503.02531), and by later divergences."""

from typing import Literal

from selfdistill.functional import correlated, decoupled, kl, normalized, standardized
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Share, recipe
from selfdistill.method.networks import teaching
from selfdistill.terms import Seen, Term, View


class Teacher(Term):
    """A frozen network trained before, shown the same images, is the teacher."""

    views = (View("teacher", grad=False, network="teacher"),)

    def __init__(self, temperature: float, weight: float, divergence: str, beta: float, gamma: float, warmup: float):
        super().__init__()
        self.temperature, self.weight, self.warmup, self.timed = temperature, weight, warmup, warmup > 0
        self.divergence, self.beta, self.gamma = divergence, beta, gamma
        self.mixed = divergence not in ("dkd", "nkd")
        self.rows, self.over = (2, "batch") if divergence == "dist" else (1, "rows")

    def loss(self, seen: Seen):
        """How far the student is from the teacher: T² KL, or another divergence."""
        far = self.between(seen.logits, seen.views["teacher"].logits, seen.batch.labels)
        return seen.clock.ramp(self.warmup) * far if self.timed else far

    def between(self, student, teacher, labels):
        """The divergence that was asked for. [B, C], [B, C], [B] -> []."""
        match self.divergence:
            case "dkd":
                return decoupled(student, teacher, labels, self.temperature, self.beta, self.gamma)
            case "dist":
                return correlated(student, teacher, self.temperature, self.beta, self.gamma)
            case "nkd":
                return normalized(student, teacher, labels, self.temperature, self.beta, self.gamma)
            case "standardized":
                return self.beta * standardized(student, teacher, self.temperature)
        return self.beta * kl(student, teacher, self.temperature)


@recipe
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
        terms={"teacher": Teacher(temperature, alpha, divergence, beta, gamma, warmup)},
        task_weight=1.0 if labels == "whole" else 1.0 - alpha,
        networks={"teacher": teaching(teacher)},
    )
