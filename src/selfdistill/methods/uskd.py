"""Universal self-knowledge distillation with customized soft labels (https://arxiv.org/abs/2303.13005)."""

from typing import Literal

from torch import nn

from selfdistill.data.mixing import label_shares
from selfdistill.functional import channels, confidence_weighted_ce, joint_ranks, mixed_confidence_ce, zipf_loss
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext


class CustomizedSoftLabels(LossTerm):
    """Soft labels without a teacher: the true class by its own confidence, the others by their rank."""

    supports_tags = False  # two classes have no ranks
    uses_labels = True
    reduction = "batch"

    def __init__(self, alpha: float, beta: float, mu: float, tap: str, rank: str):
        super().__init__()
        self.alpha, self.beta, self.mu, self.taps, self.rank = alpha, beta, mu, (tap,), rank

    def build(self, context: BuildContext) -> None:
        """Put a linear classifier on the tap."""
        self.weak = nn.Linear(channels(context.shapes[self.taps[0]]), context.classes)

    def loss(self, context: StepContext) -> LossValue:
        """Compute α L_true + β L_others, and μ CE of the weak head with smoothed labels; mixed rows count by shares."""
        logits, labels = context.logits, context.batch.labels
        true = confidence_weighted_ce(logits, labels)
        if context.batch.mix is not None:
            shares = label_shares(context.batch, logits.shape[1]).to(logits.dtype)
            true, labels = mixed_confidence_ce(logits, shares), shares.argmax(dim=1)
        weak = self.weak(context.rows.pool(context.features[self.taps[0]]))
        ranks = joint_ranks(logits.detach(), weak.detach(), labels, logs=self.rank == "code")
        mimic = self.alpha * true + self.beta * zipf_loss(logits, ranks, labels)
        return {"learn": self.mu * context.cross_entropy(weak, 0.1), "mimic": mimic}


@method_constructor
def uskd(
    alpha: NonNegative = 0.1,
    beta: NonNegative = 0.1,
    mu: NonNegative = 0.1,
    tap: str = "stage-2",
    rank: Literal["paper", "code"] = "paper",
) -> Method:
    """Soft labels from the student's own confidence and class ranks (Yang et al., 2023, arXiv:2303.13005).

    `rank="code"` scores classes as the published code does.

    >>> from selfdistill.methods import uskd
    >>> print(uskd(rank="code").text)
    uskd(rank='code')
    """
    return Method({"customised": CustomizedSoftLabels(alpha, beta, mu, tap, rank)})
