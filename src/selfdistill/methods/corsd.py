"""CORSD: Class-Oriented Relational Self Distillation (https://arxiv.org/abs/2305.00918)."""

from typing import Literal

from torch import Tensor

from selfdistill.data.requirements import SameClassImage
from selfdistill.functional import gaps_to_last, margin_losses, sum_tensors, two_class_ce
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import LossValue, StepContext
from selfdistill.terms.class_relations import ClassRelations
from selfdistill.terms.triplets import Pairs, Triplets


class StageRelations(Triplets):
    """Relations of pairs of images are alike at all stages; each stage classifies its pairs."""

    uses_labels = True

    def __init__(self, same: float, other: float, relation: float, margin: float, temperature: float, target: str):
        super().__init__()
        self.same, self.other, self.relation = same, other, relation
        self.margin, self.temperature, self.target = margin, temperature, target

    def loss(self, context: StepContext) -> LossValue:
        """Compute half the peers' CE and the losses of pairs."""
        learn, mimic = self.compare(context, *self.pairs(context))
        return {"learn": context.cross_entropy(context.views["peer"].logits) / 2 + learn, "mimic": mimic}

    def compare(self, context: StepContext, near: Pairs, far: Pairs, others: Tensor) -> tuple[Tensor, Tensor]:
        """Compute losses of labels and of relations; those of two classes vanish in a batch of one. -> [], []."""
        labels, met = context.batch.labels, (others != context.batch.labels).any()
        known = sum_tensors(map(context.cross_entropy, near.logits))
        soft = sum_tensors(two_class_ce(each, labels, others, self.temperature, self.target) for each in far.logits)
        apart = margin_losses(near.relations, far.relations, self.margin) + gaps_to_last(far.relations)
        mimic = self.relation * (gaps_to_last(near.relations) + met * apart)
        return self.same * known + self.other * met * soft, mimic


@method_constructor
def corsd(
    same: NonNegative = 0.04,
    other: NonNegative = 0.01,
    relation: NonNegative = 0.01,
    classes: NonNegative = 0.01,
    margin: NonNegative = 1.0,
    temperature: Positive = 3.0,
    target: Literal["tempered", "shares"] = "tempered",
    sums: Literal["sum", "mean"] = "sum",
) -> Method:
    """Relations of images within and between classes, alike at all stages (2023, arXiv:2305.00918).

    >>> from selfdistill.methods import corsd
    >>> print(corsd(sums="mean").text)
    corsd(sums='mean')
    """
    stages = StageRelations(same, other, relation, margin, temperature, target)
    terms = {"stages": stages, "classes": ClassRelations(classes, sums == "mean")}
    return Method(terms, task_weight=0.5, needs={"peer": SameClassImage()})
