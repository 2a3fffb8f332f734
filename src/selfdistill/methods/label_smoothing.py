"""Label smoothing (https://arxiv.org/abs/1512.00567)."""

from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor
from selfdistill.terms import CrossEntropy, StepContext


class Smoothed(CrossEntropy):
    """A share of each label goes to the other classes alike."""

    def loss(self, context: StepContext):
        """The true class gets 1 - smoothing, each other class smoothing / (C - 1)."""
        classes = context.logits.shape[1]
        spread = self.smoothing * classes / (classes - 1)  # torch spreads over all C, the true one too
        return context.learn(context.logits, spread)


@method_constructor
def label_smoothing(smoothing: Share = 0.1) -> Method:
    """Targets of 1 - smoothing for the true class, the rest spread over the others."""
    return Method(task=Smoothed(smoothing))
