"""Synthetic label noise."""

import torch
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.rng import make_generator


def add_label_noise(labels: Tensor, share: float, classes: int, seed: int) -> Tensor:
    """Replace a share of the labels by other classes, uniformly (symmetric noise). [N] -> [N].

    Exactly round(N · share) rows change, never to the true class. Raises `UserError` for a share outside [0, 1).

    >>> (add_label_noise(torch.zeros(10, dtype=torch.long), 0.3, classes=5, seed=0) > 0).sum()
    tensor(3)
    """
    if not 0 <= share < 1:
        raise UserError(f"the share of wrong labels must be from 0 to below 1, but is {share}")
    if share and labels.dim() == 2:
        raise UserError("label noise takes another class for an image, but these images have tags; leave it out")
    if share == 0:
        return labels
    draws = make_generator(seed, "label noise")
    rows = torch.randperm(len(labels), generator=draws)[: round(len(labels) * share)]
    offset = torch.randint(1, classes, (len(rows),), generator=draws)
    noisy = labels.clone()
    noisy[rows] = (labels[rows] + offset) % classes
    return noisy
