"""Cosine Similarity Knowledge Distillation for Individual Class Information Transfer (arXiv:2311.14307)."""

from typing import Literal

import torch

from selfdistill.data.requirements import second_view
from selfdistill.errors import UserError
from selfdistill.functional import at_most_median, class_cosine_kd, correlation_gaps, row_temperatures, sum_tensors
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import LossValue, StepContext
from selfdistill.terms.two_views import TwoViews


class ClassCosines(TwoViews):
    """Cosines of classes, and of correlations, with a teacher's predictions, at one temperature and at each row's."""

    def __init__(self, weight: float, temperature: float, low: float, high: float, view: str):
        super().__init__(view)
        self.strength, self.temperature, self.low, self.high = weight, temperature, low, high

    def loss(self, context: StepContext) -> LossValue:
        """Compute CE of the second view; cosine gaps of both, those of the first by shares of uncertain rows."""
        first, second = self.predictions(context)
        shown = first[1].softmax(dim=1)
        rows, classes = (at_most_median(each).mean() for each in (shown.amax(dim=1), shown.sum(dim=0)))
        own = row_temperatures(*first, self.low, self.high)
        heats = torch.full_like(own, self.temperature), own
        far = sum_tensors(rows * class_cosine_kd(*first, each) + class_cosine_kd(*second, each) for each in heats)
        gaps = [correlation_gaps(*first, each) for each in heats]
        near = sum_tensors(classes * between + rows * within for between, within in gaps)
        return {"learn": context.cross_entropy(second[0]), "mimic": self.strength * (far + near)}


@method_constructor
def cswt(
    teacher: str | None = None,
    weight: NonNegative = 1.0,
    temperature: Positive = 4.0,
    low: Positive = 2.0,
    high: Positive = 6.0,
    view: Literal["twin", "strong"] = "twin",
) -> Method:
    """Cosines of a teacher's classes for two views, rows at temperatures by agreement (arXiv:2311.14307).

    >>> from selfdistill.methods import cswt
    >>> print(cswt(low=1.0).text)
    cswt(low=1.0)
    """
    if low > high:
        raise UserError(f"cswt(low={low:g}, high={high:g}): low is above high; exchange them")
    term, networks = ClassCosines(weight, temperature, low, high, view), {"teacher": teacher_role(teacher)}
    return Method({"cosines": term}, needs=second_view(view), networks=networks)
