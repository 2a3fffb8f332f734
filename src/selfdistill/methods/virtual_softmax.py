"""Virtual Class Enhanced Discriminative Embedding Learning (https://arxiv.org/abs/1811.12611)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.functional import l2_norm
from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.terms import LossTerm, StepContext


class VirtualClass(LossTerm):
    """One more class for each image: it lies where the image does, as far out as the image's own class."""

    requires = ("embedding", "classifier", "directions")
    supports_mixup = False

    def __init__(self, bias: bool):
        super().__init__()
        self.bias = bias

    def loss(self, context: StepContext):
        """Cross-entropy over C + 1 classes, the last logit ‖W_y‖·‖x‖."""
        known = context.logits if self.bias else without_bias(context.logits, context.embedding, context.directions)
        virtual = l2_norm(context.directions)[context.batch.labels] * l2_norm(context.embedding)
        return F.cross_entropy(torch.cat([known, virtual[:, None]], dim=1), context.batch.labels)

    @torch.no_grad()
    def finish(self, student: nn.Module, classifier: str) -> None:
        """Take away the bias that was not trained."""
        module = student.get_submodule(classifier)
        if not self.bias and isinstance(module.bias, Tensor):
            module.bias.zero_()


def without_bias(logits, embedding, directions):
    """Logits of the weight alone; the bias gets a gradient of zero. [B, C], [B, D], [C, D] -> [B, C]."""
    return embedding @ directions.T + 0 * logits


@method_constructor
def virtual_softmax(bias: bool = False) -> Method:
    """Cross-entropy with a virtual class that takes part in no prediction."""
    return Method(task=VirtualClass(bias))
