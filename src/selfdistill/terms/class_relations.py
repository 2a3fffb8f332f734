"""Relations of predictions with sums of the predictions of each class."""

import torch

from selfdistill.distributed import all_reduce_sum
from selfdistill.functional import class_sums, other_classes, uniform
from selfdistill.heads.relation import ClassRelation
from selfdistill.terms.memory import Memory
from selfdistill.terms.term import BuildContext, LossTerm, LossValue, StepContext, TrainingInfo
from selfdistill.terms.triplets import PEER


class ClassRelations(LossTerm):
    """A prediction relates to those of its class unlike to those of another class; sums may be read as means."""

    views = (PEER,)
    supports_mixup, supports_tags, needs_labels, uses_random = False, False, True, True
    min_batch_size, reduction, memory_scope = 2, "batch", "run"  # sums of predictions by class [C, C]

    def __init__(self, weight: float, mean: bool):
        super().__init__()
        self.weight, self.mean = weight, mean

    def build(self, context: BuildContext) -> None:
        """Make a relation network."""
        self.relation = ClassRelation(context.classes, self.mean)

    def start(self, info: TrainingInfo) -> Memory:
        """Start with one-hot sums."""
        return torch.eye(info.classes).to(info.like)

    def forward(self, context: StepContext) -> tuple[LossValue, Memory]:
        """Sum relations with the own class less those with another; sum up the predictions of each class."""
        sums, labels = context.memory_tensor, context.batch.labels.repeat(2)
        p = torch.cat([context.logits, context.views["peer"].logits]).softmax(dim=1)
        others = other_classes(uniform(~context.progress.key, labels.shape), labels, len(sums))
        value = self.relation(p, labels, others, sums).sum()
        return value, sums + all_reduce_sum(class_sums(p, labels, len(sums))[:, :-1])
