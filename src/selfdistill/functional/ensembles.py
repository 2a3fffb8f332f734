"""Ensemble targets from the predictions of m networks: logits [m, B, C] and labels [B] -> logits [B, C].

Guo et al., CVPR 2020, "Online Knowledge Distillation via Collaborative Learning", section 3.2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 20  # of exponentiated gradient


def mean(logits: Tensor, labels: Tensor) -> Tensor:
    """Average the networks' logits; labels are ignored. [m, B, C], [B] -> [B, C].

    >>> from selfdistill.functional import ensembles
    >>> ensembles.mean(torch.eye(2)[:, None], torch.tensor([0]))
    tensor([[0.5000, 0.5000]])
    """
    return logits.mean(dim=0)


def naive(logits: Tensor, labels: Tensor) -> Tensor:
    """Take the logits of the network with the lowest cross-entropy, row by row. [m, B, C], [B] -> [B, C].

    >>> from selfdistill.functional import ensembles
    >>> ensembles.naive(torch.eye(2)[:, None], torch.tensor([1]))
    tensor([[0., 1.]])
    """
    losses = torch.stack([F.cross_entropy(each, labels, reduction="none") for each in logits])
    best = losses.argmin(dim=0)
    return logits[best, torch.arange(len(labels), device=labels.device)]


def minlogit(logits: Tensor, labels: Tensor) -> Tensor:
    """Take the minimum over networks of each logit less the true class's. [m, B, C], [B] -> [B, C].

    >>> from selfdistill.functional import ensembles
    >>> ensembles.minlogit(torch.eye(2)[:, None], torch.tensor([0]))
    tensor([[ 0., -1.]])
    """
    true = logits.gather(2, labels.expand(len(logits), -1)[:, :, None])
    return (logits - true).amin(dim=0)


def linear(logits: Tensor, labels: Tensor) -> Tensor:
    """Take the convex combination of lowest cross-entropy, by exponentiated gradient. [m, B, C], [B] -> [B, C].

    >>> from selfdistill.functional import ensembles
    >>> print([round(each, 3) for each in ensembles.linear(torch.eye(2)[:, None], torch.tensor([0]))[0].tolist()])
    [1.0, 0.0]
    """
    shares = torch.full((len(logits),), 1 / len(logits), device=logits.device, dtype=logits.dtype)
    onehot = F.one_hot(labels, logits.shape[2]).to(logits.dtype)
    for _ in range(STEPS):
        wrong = torch.einsum("m,mbc->bc", shares, logits).softmax(dim=1) - onehot
        slope = torch.einsum("bc,mbc->m", wrong, logits) / len(labels)
        shares = (shares.log() - slope).softmax(dim=0)
    return torch.einsum("m,mbc->bc", shares, logits)
