"""ProSelfLC: Progressive Self Label Correction (https://arxiv.org/abs/2005.03788)."""

from selfdistill.data.mixing import label_shares
from selfdistill.functional import prediction_trust, self_corrected_ce
from selfdistill.method import Method
from selfdistill.method.constructor import Positive, Share, method_constructor
from selfdistill.terms import LossTerm, LossValue, StepContext


class SelfCorrectedLabels(LossTerm):
    """Labels give way to the student's own predictions, where those are certain, late in training."""

    needs_labels = True
    supports_weights = False  # labels and predictions share one target
    uses_progress = True

    def __init__(self, slope: float, transit: float):
        super().__init__()
        self.slope, self.transit = slope, transit

    def loss(self, context: StepContext) -> LossValue:
        """Compute -Σ ((1 - ε) y + ε p) log p with a gradient through both p, as cross-entropy and its change."""
        logits, progress = context.logits, context.progress
        late = (self.slope * (progress.completed - self.transit)).sigmoid()
        shares = label_shares(context.batch, logits.shape[1]).to(logits.dtype)
        soft = self_corrected_ce(logits, shares, late.to(logits.dtype) * prediction_trust(logits))
        hard = context.cross_entropy(logits)
        return {"learn": hard, "mimic": soft - hard}


@method_constructor
def proselflc(slope: Positive = 16.0, transit: Share = 0.3) -> Method:
    """Targets that trust certain predictions more and more (Wang et al., 2021, arXiv:2005.03788), for wrong labels.

    `transit` is the share of the training after which the trust is half its final one.

    >>> from selfdistill.methods import proselflc
    >>> print(proselflc(transit=0.5).text)
    proselflc(transit=0.5)
    """
    return Method(task=SelfCorrectedLabels(slope, transit))
