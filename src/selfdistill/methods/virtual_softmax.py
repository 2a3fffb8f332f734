"""Virtual Class Enhanced Discriminative Embedding Learning (https://arxiv.org/abs/1811.12611)."""

import torch
from torch import Tensor, nn

from selfdistill.functional import l2_norm
from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.terms import LossTerm, LossValue, StepContext, label_loss


class VirtualClass(LossTerm):
    """Cross-entropy with one virtual class per image, whose weight points along the image's embedding."""

    requires = ("embedding", "classifier", "classifier_weight")
    supports_mixup = False

    def __init__(self, bias: bool):
        super().__init__()
        self.bias = bias

    def loss(self, context: StepContext) -> LossValue:
        """Compute cross-entropy over C + 1 classes, the last logit ‖W_y‖·‖x‖."""
        weight, embedding, labels = context.classifier_weight, context.embedding, context.batch.labels
        known = context.logits if self.bias else without_bias(context.logits, embedding, weight)
        virtual = l2_norm(weight)[labels] * l2_norm(embedding)
        return label_loss(torch.cat([known, virtual[:, None]], dim=1), context.batch)

    @torch.no_grad()
    def finish(self, student: nn.Module, classifier: str) -> None:
        """Zero the bias that was not trained."""
        module = student.get_submodule(classifier)
        if not self.bias and isinstance(module.bias, Tensor):
            module.bias.zero_()


def without_bias(logits: Tensor, embedding: Tensor, weight: Tensor) -> Tensor:
    """Compute logits of the weight alone; the bias gets a gradient of zero. [B, C], [B, D], [C, D] -> [B, C]."""
    return embedding @ weight.T + 0 * logits


@method_constructor
def virtual_softmax(bias: bool = False) -> Method:
    """Cross-entropy with a virtual class that takes part in no prediction (Chen et al., 2018, arXiv:1811.12611).

    `bias` keeps the classifier's bias in training; otherwise it is zeroed at the end.

    >>> from selfdistill.methods import virtual_softmax
    >>> print(virtual_softmax(bias=True).text)
    virtual_softmax(bias=True)
    """
    return Method(task=VirtualClass(bias))
