"""Predicted class, rank of the label, and confidence: one rule for equal logits, in float64.

Of equal logits the lower class number ranks first, as in `torch.argmax`; `topk` promises no order. All functions
raise the `UserError`s of `inputs`.
"""

import torch
from torch import Tensor

from selfdistill.functional import sort_logits
from selfdistill.metrics.inputs import checked_logits, checked_pair


def predicted_class(logits: Tensor) -> Tensor:
    """Class of the largest logit, the first of equal ones. [N, C] -> [N].

    >>> predicted_class(torch.tensor([[1.0, 3.0, 3.0]]))
    tensor([1])
    """
    return checked_logits(logits).argmax(dim=1)


def label_rank(logits: Tensor, labels: Tensor) -> Tensor:
    """Rank of the label by its logit, from 0: how many classes are before it. [N, C], [N] -> [N].

    >>> label_rank(torch.tensor([[1.0, 3.0, 3.0]]), torch.tensor([2]))
    tensor([1])
    """
    logits, labels = checked_pair(logits, labels)
    own = logits.gather(1, labels[:, None])
    lower = torch.arange(logits.shape[1], device=logits.device) < labels[:, None]
    return ((logits > own) | ((logits == own) & lower)).sum(dim=1)


def max_probability(logits: Tensor) -> Tensor:
    """Probability of the predicted class. [N, C] -> [N] float64.

    >>> max_probability(torch.zeros(1, 2))
    tensor([0.5000], dtype=torch.float64)
    """
    return checked_logits(logits).softmax(dim=1).amax(dim=1)


def log_odds(logits: Tensor) -> Tensor:
    """Log of p / (1 - p) of the predicted class: the order of confidences, without rounding to 1. [N, C] -> [N].

    Classes are summed in order of their logits, so that rows of the same logits in another order are equal.

    >>> log_odds(torch.tensor([[100.0, 0.0], [0.0, 101.0]]))
    tensor([100., 101.], dtype=torch.float64)
    """
    ordered = sort_logits(checked_logits(logits))
    return -(ordered[:, :-1] - ordered[:, -1:]).logsumexp(dim=1)
