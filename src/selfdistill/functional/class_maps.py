"""Maps of classes: each class's distribution over the positions of an image (https://arxiv.org/abs/2308.04243)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional.normalize import l2_normalize


def class_divergences(logits: Tensor, known: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the KL of every pair of classes' distributions over the known positions. [B, C, P], [B, P] -> [B, C, C].

    Entry i, j is KL(q_i || q_j), q the softmax over positions. An image without a known position has zeros.

    >>> import torch
    >>> from selfdistill.functional import class_divergences
    >>> class_divergences(torch.eye(2)[None], torch.ones(1, 2, dtype=torch.bool))
    tensor([[[0.0000, 0.4621],
             [0.4621, 0.0000]]])
    """
    absent = ~known[:, None]
    scaled = (logits / temperature).masked_fill(absent, torch.finfo(logits.dtype).min)
    log_q = F.log_softmax(scaled, dim=2).masked_fill(absent, 0.0)
    q = log_q.exp().masked_fill(absent, 0.0)
    return (q * log_q).sum(dim=2, keepdim=True) - q @ log_q.transpose(1, 2)


def inter_class_gap(student: Tensor, teacher: Tensor, known: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute the mean squared difference of `class_divergences`, whose rows have length 1. [B, C, P] twice -> [].

    No gradient reaches the teacher. Mansourian et al., 2023 (https://arxiv.org/abs/2308.04243).

    >>> import torch
    >>> from selfdistill.functional import inter_class_gap
    >>> inter_class_gap(torch.eye(2)[None], 2 * torch.eye(2)[None], torch.ones(1, 2, dtype=torch.bool))
    tensor(0.)
    """
    own, other = (l2_normalize(class_divergences(each, known, temperature)) for each in (student, teacher.detach()))
    return (own - other).square().mean()
