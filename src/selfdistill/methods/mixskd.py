"""MixSKD: Self-Knowledge Distillation from Mixup for Image Recognition (https://arxiv.org/abs/2208.05768)."""

import torch.nn.functional as F

from selfdistill.data.mixing import Mixing, mixed
from selfdistill.functional import channels, kl_divergence, mutual_kl
from selfdistill.heads import JoinedMaps, Resemblance
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.terms import BuildContext, ForwardPass, LossTerm
from selfdistill.terms.branches import StageBranches


class MixedKnowledge(LossTerm):
    """Mixed outputs of whole images and outputs of mixed images should agree, in every branch."""

    taps = ("stages",)
    views = (ForwardPass("clean", grad=True, source="clean", joint=True),)
    uses_labels = True

    def __init__(self, temperature: float, feature: float, discrimination: float, adversarial: bool, fusion: bool):
        super().__init__()
        self.temperature, self.feature, self.discrimination = temperature, feature, discrimination
        self.adversarial, self.fusion = adversarial, float(fusion)

    def build(self, context: BuildContext):
        """Grow a branch from every stage but the last; make the fusion and the judges."""
        self.branches = StageBranches(context)
        heads, width = len(self.branches) + 1, channels(context.shapes[self.branches.last])
        self.join = JoinedMaps(heads, width, context.classes)
        self.judges = Resemblance(heads, width, self.feature, self.discrimination, self.adversarial)

    def loss(self, context):
        """Label losses of all heads; KL, squared gaps of features and discrimination beside them."""
        (whole, maps), (mixture, theirs) = (self.branches(each) for each in (context.views["clean"], context.anchor))
        mixes, mixed_maps = ([mixed(each, context.batch.mix) for each in kind] for kind in (whole, maps))
        fused = self.join(mixed_maps), self.join(theirs)
        learn = sum(F.cross_entropy(each, context.batch.labels) for each in whole)
        learn = learn + sum(context.learn(each) for each in mixture[:-1])
        learn = learn + self.fusion * sum(context.learn(each) for each in fused)
        return {"learn": learn, "mimic": self.agreement(mixes, mixture, *fused) + self.judges(mixed_maps, theirs)}

    def agreement(self, mixes: list, mixture: list, of_mixes, of_mixture):
        """T² KL of each branch both ways; of the student from the fusions, crosswise. -> []."""
        both = sum(mutual_kl(pair, pair, self.temperature) for pair in zip(mixes[:-1], mixture[:-1], strict=True))
        return both + (
            kl_divergence(mixes[-1], of_mixture, self.temperature)
            + kl_divergence(mixture[-1], of_mixes, self.temperature)
        )


@method_constructor
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
