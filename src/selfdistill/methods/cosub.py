"""Co-training 2^L Submodels for Visual Recognition (https://arxiv.org/abs/2212.04884)."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from selfdistill.data.mixing import label_shares
from selfdistill.functional import soft_cross_entropy
from selfdistill.method import Method
from selfdistill.method.constructor import Part, method_constructor
from selfdistill.terms import LossValue, StepContext
from selfdistill.terms.two_passes import TwoPasses


class Submodels(TwoPasses):
    """Two random submodels learn the labels and each other's predictions."""

    supports_tags = False  # a label is a vector over classes

    def __init__(self, form: str, dropout: float):
        super().__init__(dropout)
        self.form, self.supports_weights = form, form == "ce"

    def loss(self, context: StepContext) -> LossValue:
        """Compute a quarter of both label losses and of both losses of the other's prediction, as labels and change."""
        one, other = self.predictions(context)
        hard = self.label_loss(one, context) + self.label_loss(other, context)
        soft = self.imitate(one, other) + self.imitate(other, one)
        return {"learn": hard / 2, "mimic": (soft - hard) / 4}

    def label_loss(self, logits: Tensor, context: StepContext) -> Tensor:
        """Compute binary cross-entropy with 1 for every class present, or cross-entropy. [B, C] -> []."""
        if self.form == "ce":
            return context.cross_entropy(logits)
        present = label_shares(context.batch, logits.shape[1]) > 0
        return F.binary_cross_entropy_with_logits(logits, present.to(logits.dtype))

    def imitate(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the same loss of a prediction without gradient. [B, C], [B, C] -> []."""
        if self.form == "ce":
            return soft_cross_entropy(logits, target)
        return F.binary_cross_entropy_with_logits(logits, target.detach().sigmoid())


@method_constructor
def cosub(form: Literal["bce", "ce"] = "bce", dropout: Part = 0.1) -> Method:
    """Two submodels by stochastic depth that teach each other (Touvron et al., 2023); `dropout` is as in `r_drop`.

    >>> from selfdistill.methods import cosub
    >>> print(cosub(dropout=0.0).text)
    cosub(dropout=0.0)
    """
    return Method(task=Submodels(form, dropout))
