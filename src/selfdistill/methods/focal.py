"""Focal Loss for Dense Object Detection (https://arxiv.org/abs/1708.02002)."""

import torch
import torch.nn.functional as F

from selfdistill.data.mixing import label_shares
from selfdistill.functional import EPS, weighted_log
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.terms import LossTerm, LossValue, StepContext


class FocalLoss(LossTerm):
    """Cross-entropy with less weight on well-classified rows."""

    ignores_unlabeled = True

    def __init__(self, gamma: float):
        super().__init__()
        self.gamma = gamma

    def loss(self, context: StepContext) -> LossValue:
        """Compute the mean of -(1 - p_y)^gamma log p_y over rows with a label; mixed labels count by their shares."""
        log_p = F.log_softmax(context.logits, dim=1)
        doubt = (-torch.expm1(log_p)).clamp_min(EPS).pow(self.gamma)  # no power's gradient at zero
        classes = context.logits.shape[1]
        weights = label_shares(context.batch, classes, weighted=True)
        return -weighted_log(weights * doubt, log_p).sum() / label_shares(context.batch, classes).sum()


@method_constructor
def focal(gamma: NonNegative = 2.0) -> Method:
    """Focal loss: cross-entropy weighted by (1 - p)^gamma (Lin et al., 2017, arXiv:1708.02002).

    A gamma of 0 is plain cross-entropy.

    >>> from selfdistill.methods import focal
    >>> print(focal(gamma=1.0).text)
    focal(gamma=1.0)
    """
    return Method(task=FocalLoss(gamma))
