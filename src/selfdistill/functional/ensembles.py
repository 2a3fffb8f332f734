"""One target of several networks' predictions: of logits [m, B, C] and labels [B] -> logits [B, C]."""

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 20  # of the search for the mixture on the simplex


def mean(logits: Tensor, labels: Tensor) -> Tensor:
    """The plain mean."""
    return logits.mean(dim=0)


def naive(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits of whichever network has the lowest cross-entropy, row by row."""
    losses = torch.stack([F.cross_entropy(each, labels, reduction="none") for each in logits])
    best = losses.argmin(dim=0)
    return logits[best, torch.arange(len(labels), device=labels.device)]


def minlogit(logits: Tensor, labels: Tensor) -> Tensor:
    """The smallest of each logit less the true class's: the least that all agree on."""
    true = logits.gather(2, labels.expand(len(logits), -1)[:, :, None])
    return (logits - true).amin(dim=0)


def linear(logits: Tensor, labels: Tensor) -> Tensor:
    """The mixture with the lowest cross-entropy, found by exponentiated gradient."""
    shares = torch.full((len(logits),), 1 / len(logits), device=logits.device, dtype=logits.dtype)
    onehot = F.one_hot(labels, logits.shape[2]).to(logits.dtype)
    for _ in range(STEPS):
        wrong = torch.einsum("m,mbc->bc", shares, logits).softmax(dim=1) - onehot
        slope = torch.einsum("bc,mbc->m", wrong, logits) / len(labels)
        shares = (shares.log() - slope).softmax(dim=0)
    return torch.einsum("m,mbc->bc", shares, logits)
