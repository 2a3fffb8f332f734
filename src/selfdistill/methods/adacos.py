"""AdaCos: Adaptively Scaling Cosine Logits (https://arxiv.org/abs/1905.00292)."""

import math
from typing import Literal

from torch import nn

from selfdistill import distributed
from selfdistill.errors import UserError
from selfdistill.functional import l2_normalize_finite
from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.terms import LossTerm, StepContext, TrainingInfo
from selfdistill.terms.branches import merge_into_classifier


class Cosine(LossTerm):
    """Only the angle between an embedding and a class's direction counts, times a scale that nobody tunes."""

    requires = ("embedding", "classifier", "directions")
    memory_scope = "run"  # the scale []

    def __init__(self, dynamic: bool):
        super().__init__()
        self.dynamic, self.supports_mixup = dynamic, not dynamic

    def build(self, context):
        """Refuse two classes, for which the scale is zero."""
        if context.classes < 3:
            raise UserError("adacos() scales by log(C - 1), which is zero for two classes; take ce()")
        self.scale = math.sqrt(2) * math.log(context.classes - 1)

    def start(self, info: TrainingInfo):
        """√2 log(C - 1), the fixed scale."""
        return info.like + math.sqrt(2) * math.log(info.classes - 1)

    def forward(self, context: StepContext):
        """CE(s cos θ, y); the student's own logits get a gradient of zero."""
        cosine = l2_normalize_finite(context.embedding) @ l2_normalize_finite(context.directions).T
        scale = (
            adapted(context.memory, cosine.detach(), context.batch.labels) if self.dynamic else context.memory.clone()
        )
        return context.learn(scale * cosine + 0 * context.logits), scale

    def finish(self, student: nn.Module, classifier: str) -> None:
        """Give W's rows one length and take the bias away, so that the plain logits rank classes by cosine."""
        merge_into_classifier(student, classifier, lambda weight: self.scale * l2_normalize_finite(weight))


def adapted(scale, cosine, labels):
    """log(B_avg) / cos(min(π/4, median θ_y)) over the rows of all ranks. [], [B, C], [B] -> []."""
    own = labels[:, None]
    others, true = (scale * cosine).exp().scatter(1, own, 0.0).sum(dim=1), cosine.gather(1, own)[:, 0]
    median = -(-distributed.gathered(true)).median()  # the upper of two middle cosines: the lower of two middle angles
    return distributed.gathered(others).mean().log() / median.clamp_min(math.sqrt(0.5))  # cos(π/4) = √½


@method_constructor
def adacos(scale: Literal["dynamic", "fixed"] = "dynamic") -> Method:
    """Cross-entropy of scaled cosines; the scale follows training, or stays √2 log(C - 1)."""
    return Method(task=Cosine(scale == "dynamic"))
