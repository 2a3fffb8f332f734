"""Self-Knowledge Distillation with Progressive Refinement of Targets (https://arxiv.org/abs/2006.12000)."""

import torch.nn.functional as F

from selfdistill.functional import past_or_label, weighted_log
from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor
from selfdistill.terms import LossTerm, LossValue, Memory, StepContext, TrainingInfo, tables


class ProgressiveTargets(LossTerm):
    """Targets that mix the label with the previous epoch's prediction, whose share grows."""

    supports_mixup = False
    supports_tags = False  # the table has a row for each image
    uses_progress = True
    uses_index = True
    memory_scope = "run"  # probabilities of every training image [N, C]; zeros where it was never predicted

    def __init__(self, alpha: float):
        super().__init__()
        self.alpha = alpha

    def start(self, info: TrainingInfo) -> Memory:
        """Start with a table of zeros."""
        return tables.start_table(info, info.classes)

    def loss(self, context: StepContext) -> LossValue:
        """Compute (1 - α_e) CE(z, y) + α_e CE(z, P), as cross-entropy plus the soft target's change."""
        past = past_or_label(tables.read_rows(context.memory, context.index, context.logits), context.batch.labels)
        log_p = F.log_softmax(context.logits, dim=1)
        soft = -weighted_log(past, log_p).sum(dim=1).mean()
        hard = context.cross_entropy(context.logits)
        share = self.alpha * ((context.progress.epoch + 1) / context.progress.epochs).clamp(max=1)
        return {"learn": hard, "mimic": share * (soft - hard)}

    def remember(self, context: StepContext) -> Memory:
        """Return this epoch's probabilities for the next."""
        return tables.update_rows(context.memory, context.index, context.logits.detach().softmax(dim=1))


@method_constructor
def ps_kd(alpha: Share = 0.8) -> Method:
    """Targets that move from labels to the previous epoch's predictions (Kim et al., 2021, arXiv:2006.12000).

    `alpha` is the predictions' share in the last epoch.

    >>> from selfdistill.methods import ps_kd
    >>> print(ps_kd(alpha=0.5).text)
    ps_kd(alpha=0.5)
    """
    return Method(task=ProgressiveTargets(alpha))
