"""Variance of embeddings within and between classes."""

import torch
from torch import Tensor, nn

from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.inputs import checked_embeddings


def class_variance(embeddings: Tensor, labels: Tensor) -> dict[str, float | None]:
    """Compute the variances and their ratio, raw and for embeddings of length 1. embeddings [N, D], labels [N].

    Ratios are None where all class means are equal.

    >>> class_variance(torch.eye(2), torch.arange(2))["inter_normalised"]
    0.5
    """
    embeddings = checked_embeddings(embeddings)
    own, unit = variances(embeddings, labels), variances(nn.functional.normalize(embeddings), labels)
    return own | {f"{name}_normalised": value for name, value in unit.items()}


def variances(embeddings: Tensor, labels: Tensor) -> dict[str, float | None]:
    """Mean squared distance of embeddings to their class mean ("intra") and of class means to the mean ("inter").

    Class means are weighted by class size, so "intra" and "inter" sum to the total variance.

    >>> variances(torch.tensor([[0.0], [2.0], [4.0], [6.0]]), torch.tensor([0, 0, 1, 1]))
    {'intra': 1.0, 'inter': 4.0, 'ratio': 0.25}
    """
    embeddings = checked_embeddings(embeddings)
    _, group = torch.unique(labels, return_inverse=True)
    means = class_means(embeddings, group)[group]
    intra = (embeddings - means).square().sum(dim=1).mean().item()
    inter = (means - embeddings.mean(dim=0)).square().sum(dim=1).mean().item()
    return {"intra": intra, "inter": inter, "ratio": intra / inter if inter else None}


def class_means(embeddings: Tensor, group: Tensor) -> Tensor:
    """Mean of each group's rows. [N, D], [N] of 0 … K - 1 -> [K, D].

    >>> class_means(torch.tensor([[0.0], [2.0], [4.0]]), torch.tensor([0, 0, 1]))
    tensor([[1.],
            [4.]])
    """
    counts = group.bincount()
    sums = torch.zeros(len(counts), embeddings.shape[1], dtype=embeddings.dtype)
    return sums.index_add_(0, group, embeddings) / counts[:, None]


def compute(context: EvaluationContext) -> dict[str, float | None]:
    """Metric "spread" on the test images."""
    return class_variance(*context.embeddings_and_labels)
