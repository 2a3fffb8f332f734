"""Focal Loss for Dense Object Detection (https://arxiv.org/abs/1708.02002)."""

import torch
import torch.nn.functional as F

from selfdistill.data.mixing import label_shares
from selfdistill.functional import EPS
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, method_constructor
from selfdistill.terms import LossTerm, StepContext


class Focused(LossTerm):
    """What is predicted well already counts less."""

    def __init__(self, gamma: float):
        super().__init__()
        self.gamma = gamma

    def loss(self, context: StepContext):
        """-(1 - p_y)^gamma log p_y, the mean over rows; of mixed labels each by its share."""
        log_p = F.log_softmax(context.logits, dim=1)
        doubt = (-torch.expm1(log_p)).clamp_min(EPS).pow(self.gamma)  # no power's gradient at zero
        shares = label_shares(context.batch, context.logits.shape[1])
        return -(shares * doubt * log_p).sum(dim=1).mean()


@method_constructor
def focal(gamma: NotNegative = 2.0) -> Method:
    """Cross-entropy in which easy images count less; gamma of 0 is cross-entropy itself."""
    return Method(task=Focused(gamma))
