"""AdaCos: Adaptively Scaling Cosine Logits (https://arxiv.org/abs/1905.00292)."""

import math
from typing import Literal

from torch import nn

from selfdistill import distributed
from selfdistill.errors import UserError
from selfdistill.functional import directed
from selfdistill.method import Method
from selfdistill.method.constructor import recipe
from selfdistill.terms import Facts, Seen, Term
from selfdistill.terms.branches import fold


class Cosine(Term):
    """Only the angle between an embedding and a class's direction counts, times a scale that nobody tunes."""

    reads = ("embedding", "classifier", "directions")
    memory_scope = "run"  # the scale []

    def __init__(self, dynamic: bool):
        super().__init__()
        self.dynamic, self.mixed = dynamic, not dynamic

    def build(self, parts):
        """Refuse two classes, for which the scale is zero."""
        if parts.classes < 3:
            raise UserError("adacos() scales by log(C - 1), which is zero for two classes; take ce()")
        self.scale = math.sqrt(2) * math.log(parts.classes - 1)

    def start(self, facts: Facts):
        """√2 log(C - 1), the fixed scale."""
        return facts.like + math.sqrt(2) * math.log(facts.classes - 1)

    def forward(self, seen: Seen):
        """CE(s cos θ, y); the student's own logits get a gradient of zero."""
        cosine = directed(seen.embedding) @ directed(seen.directions).T
        scale = adapted(seen.memory, cosine.detach(), seen.batch.labels) if self.dynamic else seen.memory.clone()
        return seen.learn(scale * cosine + 0 * seen.logits), scale

    def finish(self, student: nn.Module, classifier: str) -> None:
        """Give W's rows one length and take the bias away, so that the plain logits rank classes by cosine."""
        fold(student, classifier, lambda weight: self.scale * directed(weight))


def adapted(scale, cosine, labels):
    """log(B_avg) / cos(min(π/4, median θ_y)) over the rows of all ranks. [], [B, C], [B] -> []."""
    own = labels[:, None]
    others, true = (scale * cosine).exp().scatter(1, own, 0.0).sum(dim=1), cosine.gather(1, own)[:, 0]
    median = -(-distributed.gathered(true)).median()  # the upper of two middle cosines: the lower of two middle angles
    return distributed.gathered(others).mean().log() / median.clamp_min(math.sqrt(0.5))  # cos(π/4) = √½


@recipe
def adacos(scale: Literal["dynamic", "fixed"] = "dynamic") -> Method:
    """Cross-entropy of scaled cosines; the scale follows training, or stays √2 log(C - 1)."""
    return Method(task=Cosine(scale == "dynamic"))
