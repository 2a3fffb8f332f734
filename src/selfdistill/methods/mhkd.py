"""Multi-head Knowledge Distillation for Model Compression (https://arxiv.org/abs/2012.02911)."""

from torch import Tensor

from selfdistill.functional import kl_through_teacher, sum_tensors
from selfdistill.heads import StageHeads
from selfdistill.method import Method
from selfdistill.method.constructor import Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import STAGES, match_stages


class StageClassifiers(LossTerm):
    """Classifiers on the stages of both networks learn the labels; each of the student's learns from the teacher's."""

    taps, min_stages, views, uses_labels = ("stages",), 2, (STAGES,), True

    def __init__(self, alpha: float, beta: float, temperature: float, detach: bool):
        super().__init__()
        self.alpha, self.beta, self.temperature, self.detach = alpha, beta, temperature, detach

    def build(self, context: BuildContext) -> None:
        """Put a classifier on each matched stage of both networks but the last, if there are several."""
        matched, teacher = match_stages(context), context.views["teacher"]
        self.tapped, self.deep = zip(*(matched[:-1] or matched), strict=True)
        self.own = StageHeads([context.shapes[tap] for tap in self.tapped], context.classes)
        self.theirs = StageHeads([teacher[tap] for tap in self.deep], context.classes)
        self.shares = [self.alpha] * (1 + len(self.tapped))  # of the final pair, and of each pair of heads

    def loss(self, context: StepContext) -> LossValue:
        """Sum CE(u) + β ((1 - α) CE(v) + α T² KL(u || v)) over heads; α T² KL of the final pair."""
        teacher, (last, *shares), ce = context.views["teacher"], self.shares, context.cross_entropy
        own = self.own([context.features[tap] for tap in self.tapped], context.rows)
        deep = self.theirs([teacher.features[tap] for tap in self.deep], context.rows)
        pairs = list(zip(shares, own, deep, strict=True))
        learn = sum_tensors(ce(other) + self.beta * (1 - share) * ce(one) for share, one, other in pairs)
        soft = sum_tensors(self.beta * share * self.imitate(one, other) for share, one, other in pairs)
        return {"learn": learn, "mimic": last * self.imitate(context.logits, teacher.logits) + soft}

    def imitate(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute T² KL, with a gradient to the target unless it is detached. [B, C], [B, C] -> []."""
        return kl_through_teacher(logits, target.detach() if self.detach else target, self.temperature)


@method_constructor
def mhkd(
    teacher: str | None = None, alpha: Share = 0.1, temperature: Positive = 5.0, beta: Share = 0.5, detach: bool = True
) -> Method:
    """Classifiers on the stages of a teacher and of the student (Wang et al., 2020, arXiv:2012.02911).

    >>> from selfdistill.methods import mhkd
    >>> print(mhkd(alpha=0.2).text)
    mhkd(alpha=0.2)
    """
    term, networks = StageClassifiers(alpha, beta, temperature, detach), {"teacher": teacher_role(teacher)}
    return Method({"heads": term}, task_weight=1.0 - alpha, networks=networks)
