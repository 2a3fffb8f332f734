"""kNN accuracy of embeddings against the training images."""

import torch
from torch import Tensor

from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.cosine import TOLERANCE, unit_rows

ROWS = 128  # compared at once with all training images
NEIGHBOURS, TEMPERATURE = 20, 0.07


def knn(
    embeddings: Tensor,
    labels: Tensor,
    known: Tensor,
    known_labels: Tensor,
    *,
    neighbours: int = NEIGHBOURS,
    device: torch.device | str = "cpu",
) -> float:
    """Percentage of images classified correctly by a cosine-weighted kNN vote. [N, D], [N], [M, D], [M].

    A neighbor's vote weighs exp(cosine / 0.07) (Wu et al., 2018); 20 neighbors vote, or all M if fewer. Images that
    are equally far share the votes that are left, and of classes with equal votes the first wins, so the order of
    rows has no effect. Raises `UserError` for NaN and infinity.

    >>> knn(torch.eye(2), torch.tensor([0, 1]), torch.eye(2), torch.tensor([0, 1]))
    100.0
    """
    known = unit_rows(known, device)
    known_labels = known_labels.to(known.device)
    blocks = torch.split(unit_rows(embeddings, device), ROWS)
    guess = torch.cat([_vote(rows @ known.T, known_labels, min(neighbours, len(known))) for rows in blocks])
    return 100 * int((guess.cpu() == labels.cpu()).sum()) / len(labels)


def _vote(cosine: Tensor, labels: Tensor, neighbours: int) -> Tensor:
    """Class with the most votes. cosine [B, M], labels [M] -> [B]."""
    weight = _shares(cosine, neighbours) * ((cosine - 1) / TEMPERATURE).exp()  # at most 1
    votes = cosine.new_zeros(len(cosine), int(labels.max()) + 1).index_add_(1, labels, weight)
    most = votes >= votes.amax(dim=1, keepdim=True) * (1 - TOLERANCE)
    return most.byte().argmax(dim=1)


def _shares(cosine: Tensor, neighbours: int) -> Tensor:
    """Share of a vote that each known image has: 1 among the nearest, 0 beyond, between where many are equally far.

    [B, M] -> [B, M], rows sum to `neighbours`.
    """
    last = cosine.topk(neighbours, dim=1).values[:, -1:]
    nearer = cosine > last + TOLERANCE
    equal = (cosine >= last - TOLERANCE) & ~nearer
    left = neighbours - nearer.sum(dim=1, keepdim=True)
    return nearer.double() + equal.double() * left / equal.sum(dim=1, keepdim=True)


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "knn" on the test images; passes the training images once."""
    known = context.model.predictions(context.splits.train)
    test = context.embeddings_and_labels
    return {"knn": knn(*test, known.embeddings, known.labels, device=context.model.device)}
