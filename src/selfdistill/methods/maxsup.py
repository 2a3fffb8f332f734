"""MaxSup: Overcoming Representation Collapse in Label Smoothing (https://arxiv.org/abs/2502.15798)."""

from selfdistill.functional import max_suppression
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.terms import LossTerm, LossValue, StepContext


class MaxSuppression(LossTerm):
    """A penalty on the largest logit, whose weight moves linearly over the epochs."""

    def __init__(self, begin: float, end: float):
        super().__init__()
        self.begin, self.end, self.uses_progress = begin, end, begin != end

    def loss(self, context: StepContext) -> LossValue:
        """Compute w_e times the mean over rows of max z - mean z."""
        penalty = max_suppression(context.logits)
        if not self.uses_progress:
            return self.begin * penalty
        share = context.progress.completed
        return (self.begin + (self.end - self.begin) * share) * penalty


@method_constructor
def maxsup(begin: NonNegative = 0.1, end: NonNegative = 0.2) -> Method:
    """Label smoothing that lowers the largest logit instead of the label's (Zhou et al., 2025, arXiv:2502.15798).

    `begin` and `end` are the penalty's weights in the first epoch and after the last one.

    >>> from selfdistill.methods import maxsup
    >>> print(maxsup(end=0.1).text)
    maxsup(end=0.1)
    """
    return Method({"suppression": MaxSuppression(begin, end)})
