"""AdaCos: Adaptively Scaling Cosine Logits (https://arxiv.org/abs/1905.00292)."""

from typing import Literal

from torch import nn

from selfdistill.errors import UserError
from selfdistill.functional import cosine_logits, l2_normalize_finite
from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, Memory, StepContext, TrainingInfo
from selfdistill.terms.branches import merge_into_classifier
from selfdistill.terms.cosine_scale import adapted_scale, fixed_scale


class CosineCrossEntropy(LossTerm):
    """Cross-entropy of cosine logits (embedding against class weights), times a parameter-free scale."""

    requires = ("embedding", "classifier", "classifier_weight")
    writes_weight = True
    memory_scope = "run"  # the scale []

    def __init__(self, dynamic: bool):
        super().__init__()
        self.dynamic, self.supports_mixup = dynamic, not dynamic

    def build(self, context: BuildContext) -> None:
        """Refuse two classes, for which the scale is zero."""
        if context.classes < 3:
            raise UserError("adacos() scales by log(C - 1), which is zero for two classes; take ce()")
        self.scale = fixed_scale(context.classes)

    def start(self, info: TrainingInfo) -> Memory:
        """Start at the fixed scale."""
        return info.like + fixed_scale(info.classes)

    def forward(self, context: StepContext) -> tuple[LossValue, Memory]:
        """Compute CE(s cos θ, y); the student's own logits get a gradient of zero."""
        old, cosine = context.memory_tensor, cosine_logits(context.embedding, context.classifier_weight)
        scale = adapted_scale(old, cosine.detach(), context.batch.labels) if self.dynamic else old.clone()
        return context.cross_entropy(scale * cosine + 0 * context.logits), scale

    def finish(self, student: nn.Module, classifier: str) -> None:
        """Normalize W's rows and zero the bias, so that the plain logits rank classes by cosine."""
        merge_into_classifier(student, classifier, lambda weight: self.scale * l2_normalize_finite(weight))


@method_constructor
def adacos(scale: Literal["dynamic", "fixed"] = "dynamic") -> Method:
    """Cross-entropy of cosine logits, with a dynamic scale or √2 log(C - 1) (Zhang et al., 2019, arXiv:1905.00292).

    >>> from selfdistill.methods import adacos
    >>> print(adacos(scale="fixed").text)
    adacos(scale='fixed')
    """
    return Method(task=CosineCrossEntropy(scale == "dynamic"))
