"""MixSKD: Self-Knowledge Distillation from Mixup for Image Recognition (https://arxiv.org/abs/2208.05768)."""

import torch.nn.functional as F

from selfdistill.data.mixing import Mixing, mixed
from selfdistill.functional import kl, mutual, width
from selfdistill.heads import JoinedMaps, Resemblance
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, recipe
from selfdistill.terms import Parts, Term, View
from selfdistill.terms.branches import StageBranches


class MixedKnowledge(Term):
    """Mixed outputs of whole images and outputs of mixed images should agree, in every branch."""

    taps = ("stages",)
    views = (View("clean", grad=True, source="clean", joint=True),)
    learns = True

    def __init__(self, temperature: float, feature: float, discrimination: float, adversarial: bool, fusion: bool):
        super().__init__()
        self.temperature, self.feature, self.discrimination = temperature, feature, discrimination
        self.adversarial, self.fusion = adversarial, float(fusion)

    def build(self, parts: Parts):
        """Grow a branch from every stage but the last; make the fusion and the judges."""
        self.branches = StageBranches(parts)
        heads, channels = len(self.branches) + 1, width(parts.shapes[self.branches.last])
        self.join = JoinedMaps(heads, channels, parts.classes)
        self.judges = Resemblance(heads, channels, self.feature, self.discrimination, self.adversarial)

    def loss(self, seen):
        """Label losses of all heads; KL, squared gaps of features and discrimination beside them."""
        (whole, maps), (mixture, theirs) = (self.branches(each) for each in (seen.views["clean"], seen.anchor))
        mixes, mixed_maps = ([mixed(each, seen.batch.mix) for each in kind] for kind in (whole, maps))
        fused = self.join(mixed_maps), self.join(theirs)
        learn = sum(F.cross_entropy(each, seen.batch.labels) for each in whole)
        learn = learn + sum(seen.learn(each) for each in mixture[:-1])
        learn = learn + self.fusion * sum(seen.learn(each) for each in fused)
        return {"learn": learn, "mimic": self.agreement(mixes, mixture, *fused) + self.judges(mixed_maps, theirs)}

    def agreement(self, mixes: list, mixture: list, of_mixes, of_mixture):
        """T² KL of each branch both ways; of the student from the fusions, crosswise. -> []."""
        both = sum(mutual(pair, pair, self.temperature) for pair in zip(mixes[:-1], mixture[:-1], strict=True))
        return both + (kl(mixes[-1], of_mixture, self.temperature) + kl(mixture[-1], of_mixes, self.temperature))


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
