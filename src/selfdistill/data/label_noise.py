"""Labels that are wrong on purpose."""

import torch
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.rng import make_generator


def with_noise(labels: Tensor, share: float, classes: int, seed: int) -> Tensor:
    """Labels of which a share is wrong: symmetric noise, never the true class. [N] -> [N].

    Exactly that share of the rows, rounded, is drawn, and for each one of the other classes, all alike.
    Raises `UserError` for a share outside 0 to below 1.
    """
    if not 0 <= share < 1:
        raise UserError(f"the share of wrong labels must be from 0 to below 1, but is {share}")
    draws = make_generator(seed, "label noise")
    rows = torch.randperm(len(labels), generator=draws)[: round(len(labels) * share)]
    away = torch.randint(1, classes, (len(rows),), generator=draws)
    noisy = labels.clone()
    noisy[rows] = (labels[rows] + away) % classes
    return noisy
