"""MixSKD: Self-Knowledge Distillation from Mixup for Image Recognition (https://arxiv.org/abs/2208.05768)."""

from selfdistill.data.mixing import Mixing, mixed
from selfdistill.functional import channels, mixup_consistency, sum_tensors
from selfdistill.heads import JoinedMaps, MapAlignment
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import BuildContext, ForwardPass, LossTerm, LossValue, StepContext, label_loss
from selfdistill.terms.branches import StageBranches


class MixupConsistency(LossTerm):
    """Mixtures of outputs for clean images agree with outputs for mixed images, in every branch."""

    taps = ("stages",)
    min_stages = 2
    views = (ForwardPass("clean", grad=True, source="clean", joint=True),)
    uses_labels, supports_tags = True, False  # mixed features are of examples, mixed logits of tags

    def __init__(self, temperature: float, feature: float, discrimination: float, adversarial: bool, fusion: bool):
        super().__init__()
        self.temperature, self.fusion = temperature, float(fusion)
        self.alignment = feature, discrimination, adversarial

    def build(self, context: BuildContext) -> None:
        """Make a branch behind every stage but the last, the fusion and the discriminators."""
        self.branches = StageBranches(context)
        heads, shape = len(self.branches) + 1, context.shapes[self.branches.last]
        self.join = JoinedMaps(heads, shape, context.classes)
        self.judges = MapAlignment(heads, channels(shape), *self.alignment)

    def loss(self, context: StepContext) -> LossValue:
        """Compute label losses of all heads; KL, feature gaps and discrimination as distillation."""
        (clean, maps), (mixture, theirs) = (self.branches(each) for each in (context.views["clean"], context.anchor))
        mixes, mixed_maps = ([mixed(each, context.mix) for each in kind] for kind in (clean, maps))
        fused = self.join(mixed_maps), self.join(theirs)
        batch, ce = context.batch._replace(mix=None), context.cross_entropy
        learn = sum_tensors(label_loss(each, batch) for each in clean) + sum(map(ce, mixture[:-1]))
        learn = learn + self.fusion * sum(map(ce, fused))
        mimic = mixup_consistency(mixes, mixture, fused, self.temperature) + self.judges(mixed_maps, theirs)
        return {"learn": learn, "mimic": mimic}


@method_constructor
def mixskd(
    temperature: Positive = 3.0,
    alpha: Positive = 0.2,
    feature: NonNegative = 1.0,
    discrimination: NonNegative = 1.0,
    adversarial: bool = True,
    fusion: bool = True,
) -> Method:
    """Consistency between mixed outputs and outputs of mixed images (Yang et al., 2022, arXiv:2208.05768).

    >>> from selfdistill.methods import mixskd
    >>> print(mixskd(adversarial=False).text)
    mixskd(adversarial=False)
    """
    term = MixupConsistency(temperature, feature, discrimination, adversarial, fusion)
    return Method({"mixed": term}, mixing=Mixing(alpha, clean=True))
