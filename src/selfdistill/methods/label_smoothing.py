"""Label smoothing (https://arxiv.org/abs/1512.00567)."""

from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor
from selfdistill.terms import CrossEntropy, LossValue, StepContext


class SmoothedCrossEntropy(CrossEntropy):
    """Cross-entropy with `smoothing` spread evenly over the other classes."""

    def loss(self, context: StepContext) -> LossValue:
        """Compute CE with 1 - smoothing for the true class, smoothing / (C - 1) for each other."""
        classes = context.logits.shape[1]
        spread = self.smoothing * classes / (classes - 1)  # PyTorch spreads over all C, the true one too
        return context.cross_entropy(context.logits, spread)


@method_constructor
def label_smoothing(smoothing: Share = 0.1) -> Method:
    """Targets of 1 - smoothing for the true class, the rest spread over the others (Szegedy et al., 2016).

    >>> from selfdistill.methods import label_smoothing
    >>> print(label_smoothing(smoothing=0.2).text)
    label_smoothing(smoothing=0.2)
    """
    return Method(task=SmoothedCrossEntropy(smoothing))
