"""Self-distillation from the last mini-batch (https://arxiv.org/abs/2203.16172)."""

import torch
import torch.nn.functional as F

from selfdistill.data.requirements import PreviousBatch
from selfdistill.functional import kl_divergence
from selfdistill.inputs import only_tensor
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import ForwardPass, LossTerm, LossValue, Memory, StepContext, TrainingInfo


class LastBatch(LossTerm):
    """The previous batch passes once more; its earlier predictions are its soft targets."""

    views = (ForwardPass("last", grad=True, source="last"),)
    supports_mixup = False
    supports_tags = False  # the last batch's labels are class ids
    uses_labels = True
    supports_weights = False  # the last batch's labels have none

    def __init__(self, alpha: float, temperature: float):
        super().__init__()
        self.alpha, self.temperature = alpha, temperature

    def start(self, info: TrainingInfo) -> Memory:
        """Start with logits of zeros, and a row count of zero."""
        return torch.zeros_like(info.like).expand(info.batch, info.classes).clone(), info.like * 0

    def loss(self, context: StepContext) -> LossValue:
        """Compute CE over both batches, and T² KL(sg z_then || z_now) of the last; at the first step CE alone."""
        logits, (then, rows) = context.views["last"].logits, context.memory_pair
        room = min(len(then), len(logits))
        known = (rows == room).to(logits.dtype)  # the remembered rows are those of this pass
        again = F.cross_entropy(logits, only_tensor(context.batch.extra["last_labels"]))
        before, now = known * len(logits), len(context.logits)
        learn = (before * again + now * context.cross_entropy(context.logits)) / (before + now)
        soft = kl_divergence(logits[:room], then[:room], self.temperature)
        return {"learn": learn, "mimic": self.alpha * known * soft}

    def remember(self, context: StepContext) -> Memory:
        """Return this batch's logits [B, C], cut or zero-padded to the memory's rows, and their number."""
        then, rows = context.memory_pair
        logits = context.logits.detach()[: len(then)].clamp_min(torch.finfo(context.logits.dtype).min)  # no -inf
        return F.pad(logits, (0, 0, 0, len(then) - len(logits))), torch.full_like(rows, len(logits))


@method_constructor
def dlb(alpha: NonNegative = 1.0, temperature: Positive = 3.0) -> Method:
    """A second pass of each batch one step later, taught by its first predictions (Shen et al., 2022).

    >>> from selfdistill.methods import dlb
    >>> print(dlb(alpha=0.5).text)
    dlb(alpha=0.5)
    """
    return Method(task=LastBatch(alpha, temperature), needs={"last": PreviousBatch()})
