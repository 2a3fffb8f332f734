"""Self-Knowledge Distillation with Progressive Refinement of Targets (https://arxiv.org/abs/2006.12000)."""

import torch
import torch.nn.functional as F

from selfdistill.method import Method
from selfdistill.method.constructor import Share, recipe
from selfdistill.terms import Facts, Rows, Seen, Term


class Refined(Term):
    """What was predicted of each image an epoch ago is a growing share of its target."""

    mixed = False
    timed = True
    indexed = True
    memory_scope = "run"  # probabilities of every training image [N, C]; zeros where it was never seen

    def __init__(self, alpha: float):
        super().__init__()
        self.alpha = alpha

    def start(self, facts: Facts):
        """No image was seen."""
        return torch.zeros(facts.images, facts.classes, dtype=facts.like.dtype, device=facts.like.device)

    def loss(self, seen: Seen):
        """(1 - α_e) CE(z, y) + α_e CE(z, P): cross-entropy, and what the soft target changes of it."""
        past = known(seen.memory[seen.batch.index], seen.batch.labels)
        log_p = F.log_softmax(seen.logits, dim=1)
        soft = -(past * log_p).sum(dim=1).mean()
        hard = seen.learn(seen.logits)
        share = self.alpha * (seen.clock.epoch + 1) / seen.clock.epochs
        return {"learn": hard, "mimic": share * (soft - hard)}

    def remember(self, seen):
        """Keep this epoch's probabilities for the next."""
        return Rows(seen.batch.index, seen.logits.detach().softmax(dim=1))


def known(past, labels):
    """What was predicted of each image, or its label where nothing was. [B, C], [B] -> [B, C]."""
    hard = F.one_hot(labels, past.shape[1]).to(past.dtype)
    return torch.where(past.sum(dim=1, keepdim=True) > 0, past, hard)


@recipe
def ps_kd(alpha: Share = 0.8) -> Method:
    """Targets move from the labels to the student's own predictions of the epoch before."""
    return Method(task=Refined(alpha))
