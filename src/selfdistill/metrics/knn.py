"""kNN accuracy of embeddings against the training images."""

import torch
from torch import Tensor, nn

from selfdistill.metrics.context import EvaluationContext

ROWS = 512  # compared at once with all training images
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

    A neighbor's vote weighs exp(cosine / 0.07) (Wu et al., 2018); 20 neighbors vote, or all M if fewer.

    >>> knn(torch.eye(2), torch.tensor([0, 1]), torch.eye(2), torch.tensor([0, 1]))
    100.0
    """
    known, known_labels = nn.functional.normalize(known.to(device)), known_labels.to(device)
    blocks = torch.split(nn.functional.normalize(embeddings.to(device)), ROWS)
    guess = torch.cat([_vote(rows @ known.T, known_labels, min(neighbours, len(known))) for rows in blocks])
    return 100 * int((guess.cpu() == labels.cpu()).sum()) / len(labels)


def _vote(cosine: Tensor, labels: Tensor, neighbours: int) -> Tensor:
    """Class with the most votes. cosine [B, M], labels [M] -> [B]."""
    near, which = cosine.topk(neighbours, dim=1)
    weight = ((near - 1) / TEMPERATURE).exp()  # at most 1
    votes = cosine.new_zeros(len(cosine), int(labels.max()) + 1)
    return votes.scatter_add_(1, labels[which], weight).argmax(dim=1)


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "knn" on the test images; passes the training images once."""
    known = context.model.predictions(context.splits.train)
    test = context.embeddings_and_labels
    return {"knn": knn(*test, known.embeddings, known.labels, device=context.model.device)}
