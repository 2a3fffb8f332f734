"""Self-Knowledge Distillation with Progressive Refinement of Targets (https://arxiv.org/abs/2006.12000)."""

import torch
import torch.nn.functional as F

from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor
from selfdistill.terms import LossTerm, StepContext, TableUpdate, TrainingInfo


class Refined(LossTerm):
    """What was predicted of each image an epoch ago is a growing share of its target."""

    supports_mixup = False
    uses_progress = True
    uses_index = True
    memory_scope = "run"  # probabilities of every training image [N, C]; zeros where it was never seen

    def __init__(self, alpha: float):
        super().__init__()
        self.alpha = alpha

    def start(self, info: TrainingInfo):
        """No image was seen."""
        return torch.zeros(info.images, info.classes, dtype=info.like.dtype, device=info.like.device)

    def loss(self, context: StepContext):
        """(1 - α_e) CE(z, y) + α_e CE(z, P): cross-entropy, and what the soft target changes of it."""
        past = known(context.memory[context.batch.index], context.batch.labels)
        log_p = F.log_softmax(context.logits, dim=1)
        soft = -(past * log_p).sum(dim=1).mean()
        hard = context.learn(context.logits)
        share = self.alpha * (context.progress.epoch + 1) / context.progress.epochs
        return {"learn": hard, "mimic": share * (soft - hard)}

    def remember(self, context):
        """Keep this epoch's probabilities for the next."""
        return TableUpdate(context.batch.index, context.logits.detach().softmax(dim=1))


def known(past, labels):
    """What was predicted of each image, or its label where nothing was. [B, C], [B] -> [B, C]."""
    hard = F.one_hot(labels, past.shape[1]).to(past.dtype)
    return torch.where(past.sum(dim=1, keepdim=True) > 0, past, hard)


@method_constructor
def ps_kd(alpha: Share = 0.8) -> Method:
    """Targets move from the labels to the student's own predictions of the epoch before."""
    return Method(task=Refined(alpha))
