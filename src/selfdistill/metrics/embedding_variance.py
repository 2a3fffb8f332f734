"""How far embeddings lie apart, within classes and between them."""

import torch
from torch import Tensor, nn


def class_variance(embeddings: Tensor, labels: Tensor) -> dict[str, float | None]:
    """Variance within and between classes, and their ratio; then the same of embeddings of length 1.

    embeddings [N, D], labels [N]. Ratios are None where all class means are equal.
    """
    own, unit = variances(embeddings, labels), variances(nn.functional.normalize(embeddings.double()), labels)
    return own | {f"{name}_normalised": value for name, value in unit.items()}


def variances(embeddings: Tensor, labels: Tensor) -> dict[str, float | None]:
    """Mean squared distance of embeddings to their class mean ("intra"), of class means to the mean of all ("inter").

    Class means count as often as their class has images, so that the two sum to the total variance.
    """
    embeddings = embeddings.double()
    _, group = labels.unique(return_inverse=True)
    means = class_means(embeddings, group)[group]
    intra = (embeddings - means).square().sum(dim=1).mean().item()
    inter = (means - embeddings.mean(dim=0)).square().sum(dim=1).mean().item()
    return {"intra": intra, "inter": inter, "ratio": intra / inter if inter else None}


def class_means(embeddings: Tensor, group: Tensor) -> Tensor:
    """The mean of each group's rows. [N, D], [N] of 0 … K - 1 -> [K, D]."""
    counts = group.bincount()
    sums = torch.zeros(len(counts), embeddings.shape[1], dtype=embeddings.dtype)
    return sums.index_add_(0, group, embeddings) / counts[:, None]
