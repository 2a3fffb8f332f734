"""MixSKD: Self-Knowledge Distillation from Mixup for Image Recognition (https://arxiv.org/abs/2208.05768)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.heads import Pool
from selfdistill.maths import as_map, kl
from selfdistill.method import Method
from selfdistill.mixing import Mixing, mixed
from selfdistill.recipe import NotNegative, Positive, recipe
from selfdistill.terms import Outputs, Parts, Term, View, label_loss


class MixedKnowledge(Term):
    """Mixed outputs of whole images and outputs of mixed images should agree, in every branch."""

    taps = ("stages",)
    views = (View("clean", grad=True, source="clean", joint=True),)
    learns = True

    def __init__(self, temperature: float, feature: float, discrimination: float, adversarial: bool, fusion: bool):
        super().__init__()
        self.temperature, self.feature, self.discrimination = temperature, feature, discrimination
        self.adversarial, self.fusion = adversarial, fusion

    def build(self, parts: Parts):
        """Grow a branch from every stage but the last; make the fusion and the discriminators."""
        *self.matched, self.last = [name for name in parts.shapes if name.startswith("stage")]
        width = as_map(torch.zeros(parts.shapes[self.last])).shape[1]
        self.branches = nn.ModuleList(parts.tail(tap) for tap in self.matched)
        heads = len(self.matched) + 1
        joined = nn.Conv2d(heads * width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        self.join = nn.Sequential(*joined, Pool(), nn.Linear(width, parts.classes))
        self.judges = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 2)) for _ in range(heads)
        )
        self.judges.requires_grad_(self.adversarial)  # the published ones are never trained

    def loss(self, seen):
        """Label losses of all heads; KL, squared gaps of features and discrimination beside them."""
        whole, mixture = self.heads(seen.views["clean"], seen.views["clean"].features), self.heads(seen, seen.features)
        mixes = [self.mixture(one, seen.batch.mix) for one in whole]
        joined = [self.join(torch.cat([as_map(one.embedding) for one in ones], dim=1)) for ones in (mixes, mixture)]
        plain = seen.batch._replace(mix=None)
        learn = sum(label_loss(one.logits, plain) for one in whole)
        learn = learn + sum(seen.learn(one.logits) for one in mixture[:-1])
        learn = learn + (1.0 if self.fusion else 0.0) * sum(seen.learn(logits) for logits in joined)
        mimic = self.agreement([one.logits for one in mixes], [one.logits for one in mixture], *joined)
        return {"learn": learn, "mimic": mimic + self.alike(mixes, mixture)}

    def heads(self, shown, features):
        """Logits and last map of every head, the student's own last."""
        branches = [branch(features[tap]) for tap, branch in zip(self.matched, self.branches, strict=True)]
        maps = [Outputs(each.logits, each.features[self.last], {}) for each in branches]
        return [*maps, Outputs(shown.logits, features[self.last], {})]

    def mixture(self, shown, mix):
        """Mix what a head gives for whole images."""
        return shown._replace(logits=mixed(shown.logits, mix), embedding=mixed(shown.embedding, mix))

    def agreement(self, mixes: list, mixture: list, of_mixes, of_mixture):
        """T² KL of each branch both ways; of the student from the fusions, crosswise. -> []."""
        both = [
            kl(one, other, self.temperature) + kl(other, one, self.temperature)
            for one, other in zip(mixes[:-1], mixture[:-1], strict=True)
        ]
        crossed = kl(mixes[-1], of_mixture, self.temperature) + kl(mixture[-1], of_mixes, self.temperature)
        return sum(both) + crossed

    def alike(self, mixes: list, mixture: list):
        """Squared gaps of the last maps, and what the judges can tell them apart by. -> []."""
        gaps = sum(F.mse_loss(one.embedding, other.embedding) for one, other in zip(mixes, mixture, strict=True))
        pairs = zip(self.judges, mixes, mixture, strict=True)
        told = sum(self.told_apart(judge, one.embedding, other.embedding) for judge, one, other in pairs)
        return self.feature * gaps + self.discrimination * told

    def told_apart(self, judge: nn.Module, mixes: Tensor, mixture: Tensor):
        """Binary cross-entropy of a judge; adversarial: the judge learns it and the features undo it. -> []."""
        pooled = torch.cat([as_map(each).mean(dim=(2, 3)) for each in (mixes, mixture)])
        truth = torch.eye(2, device=pooled.device, dtype=pooled.dtype).repeat_interleave(len(mixes), dim=0)
        if self.adversarial:
            pooled = 2 * pooled.detach() - pooled  # the same value, the gradient turned round
        return F.binary_cross_entropy_with_logits(judge(pooled), truth)


@recipe
def mixskd(
    temperature: Positive = 3.0,
    alpha: Positive = 0.2,
    feature: NotNegative = 1.0,
    discrimination: NotNegative = 1.0,
    adversarial: bool = True,
    fusion: bool = True,
) -> Method:
    """Branches and student agree between mixtures of outputs and outputs of mixtures."""
    term = MixedKnowledge(temperature, feature, discrimination, adversarial, fusion)
    return Method({"mixed": term}, mixing=Mixing(alpha, clean=True))
