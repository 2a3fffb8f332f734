"""Self-distillation from the last mini-batch (https://arxiv.org/abs/2203.16172)."""

import torch
import torch.nn.functional as F

from selfdistill.data.requirements import PreviousBatch
from selfdistill.errors import UserError
from selfdistill.functional import kl_divergence
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.terms import ForwardPass, LossTerm, StepContext, TrainingInfo


class LastBatch(LossTerm):
    """The batch before is shown once more, and should be predicted as it was then."""

    views = (ForwardPass("last", grad=True, source="last"),)
    supports_mixup = False
    uses_labels = True

    def __init__(self, alpha: float, temperature: float):
        super().__init__()
        self.alpha, self.temperature = alpha, temperature

    def start(self, info: TrainingInfo):
        """No batch came before: logits of zeros, and no row of them."""
        return torch.zeros_like(info.like).expand(info.batch, info.classes).clone(), info.like * 0

    def loss(self, context: StepContext):
        """CE over both batches; T² KL(sg z_then || z_now) of the last. At the first step CE of this one alone."""
        logits, (then, rows) = context.views["last"].logits, context.memory
        _require_room(len(then), max(len(logits), len(context.logits)))
        known = (rows == len(logits)).to(logits.dtype)  # the rows remembered are those that are shown
        again = F.cross_entropy(logits, context.batch.extra["last_labels"])
        before, now = known * len(logits), len(context.logits)
        learn = (before * again + now * context.learn(context.logits)) / (before + now)
        return {
            "learn": learn,
            "mimic": self.alpha * known * kl_divergence(logits, then[: len(logits)], self.temperature),
        }

    def remember(self, context: StepContext):
        """Keep this batch's logits [B, C], short ones filled up with zeros, and how many there are."""
        (then, rows), logits = context.memory, context.logits.detach()
        return F.pad(logits, (0, 0, 0, len(then) - len(logits))), torch.full_like(rows, len(logits))


def _require_room(there: int, rows: int) -> None:
    if rows > there:
        raise UserError(
            f"dlb() remembers the {there} rows of the first batch, but this one has {rows}; "
            "use a loader whose batches do not grow"
        )


@method_constructor
def dlb(alpha: NotNegative = 1.0, temperature: Positive = 3.0) -> Method:
    """Each batch is shown again a step later, and its predictions of then are its soft targets."""
    return Method(task=LastBatch(alpha, temperature), needs={"last": PreviousBatch()})
