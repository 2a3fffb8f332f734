"""Multi-level Logit Distillation (https://doi.org/10.1109/CVPR52729.2023.02325)."""

from typing import Literal

from selfdistill.data.requirements import second_view
from selfdistill.functional import at_most_median, kl_divergence, multi_level_kd, sum_tensors
from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import LossValue, StepContext
from selfdistill.terms.two_views import TwoViews

TEMPERATURES = (2.0, 3.0, 4.0, 5.0, 6.0)
EXTREMES = (2.0, 6.0)  # at which the published code reads the first view twice


class MultiLevelLogits(TwoViews):
    """Rows, classes and batch of a teacher's predictions for two views, at five temperatures."""

    def __init__(self, alpha: float, form: str, view: str):
        super().__init__(view)
        self.alpha, self.form = alpha, form

    def loss(self, context: StepContext) -> LossValue:
        """Compute (1 - α) CE of the second view; α times all levels of the first and T² KL of the second view."""
        first, second = self.predictions(context)
        shown = first[1].softmax(dim=1)
        rows, classes = at_most_median(shown.amax(dim=1)), at_most_median(shown.sum(dim=0))
        if self.form == "code":
            rows, classes = rows.mean().expand_as(rows), classes.mean().expand_as(classes)
        levels = sum_tensors(multi_level_kd(*first, rows, classes, each) for each in TEMPERATURES)
        twice = EXTREMES if self.form == "code" else ()
        soft = sum_tensors(kl_divergence(*(first if each in twice else second), each) for each in TEMPERATURES)
        return {"learn": (1 - self.alpha) * context.cross_entropy(second[0]), "mimic": self.alpha * (levels + soft)}


@method_constructor
def mlkd(
    teacher: str | None = None,
    alpha: Share = 0.9,
    form: Literal["paper", "code"] = "paper",
    view: Literal["twin", "strong"] = "twin",
) -> Method:
    """A teacher's rows, classes and batches of predictions for two views (Jin et al., 2023).

    >>> from selfdistill.methods import mlkd
    >>> print(mlkd(form="code").text)
    mlkd(form='code')
    """
    networks, term = {"teacher": teacher_role(teacher)}, MultiLevelLogits(alpha, form, view)
    return Method({"levels": term}, task_weight=1 - alpha, needs=second_view(view), networks=networks)
