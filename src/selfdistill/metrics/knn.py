"""How well the nearest training images tell the class."""

import torch
from torch import Tensor, nn

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
    """Percent of images that their nearest training images name rightly, by cosine. [N, D], [N], [M, D], [M].

    A neighbour's vote weighs exp(cosine / 0.07), as Wu et al. (2018) have it; there are 20, or as many as
    there are training images.
    """
    known, known_labels = nn.functional.normalize(known.to(device)), known_labels.to(device)
    asked = nn.functional.normalize(embeddings.to(device)).split(ROWS)
    named = torch.cat([_vote(rows @ known.T, known_labels, min(neighbours, len(known))) for rows in asked])
    return 100 * int((named.cpu() == labels.cpu()).sum()) / len(labels)


def _vote(cosine: Tensor, labels: Tensor, neighbours: int) -> Tensor:
    """The class with most votes. cosine [B, M], labels [M] -> [B]."""
    near, which = cosine.topk(neighbours, dim=1)
    weight = ((near - 1) / TEMPERATURE).exp()  # at most 1
    votes = cosine.new_zeros(len(cosine), int(labels.max()) + 1)
    return votes.scatter_add_(1, labels[which], weight).argmax(dim=1)
