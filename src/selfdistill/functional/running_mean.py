"""Running means: exponential moving averages, and class centers."""

import torch
import torch.nn.functional as F
from torch import Tensor


def ema_update(old: Tensor, new: Tensor, steps: Tensor | int, decay: float) -> Tensor:
    """Update an exponential moving average at step `steps` (from 1). [*], [*], [] -> [*].

    The decay is min(decay, 1 - 1 / steps), so that early averages are plain means.

    >>> from selfdistill.functional import ema_update
    >>> ema_update(torch.tensor(0.0), torch.tensor(1.0), steps=1000, decay=0.9)
    tensor(0.1000)
    """
    keep = torch.as_tensor(1 - 1 / steps, device=old.device).clamp(max=decay)
    return torch.lerp(new, old, keep.to(old.dtype))


def class_sums(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Sum features by class; the last column counts each class's rows. [B, D], [B] -> [C, D + 1].

    >>> from selfdistill.functional import class_sums
    >>> class_sums(torch.tensor([[1.0], [5.0]]), torch.tensor([1, 1]), classes=2)
    tensor([[0., 0.],
            [6., 2.]])
    """
    members = F.one_hot(labels, classes).to(features.dtype).T  # [C, B]
    return torch.cat([members @ features, members.sum(dim=1, keepdim=True)], dim=1)


def right_prediction_sums(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum the probabilities of rightly classified rows by class, as `class_sums` does. [B, C], [B] -> [C, C + 1].

    >>> from selfdistill.functional import right_prediction_sums
    >>> right_prediction_sums(torch.zeros(2, 2), torch.tensor([0, 1]))
    tensor([[0.5000, 0.5000, 1.0000],
            [0.0000, 0.0000, 0.0000]])
    """
    right, classes = logits.argmax(dim=1) == labels, logits.shape[1]
    kept = torch.where(right, labels, classes)  # wrong rows go to one more class, which is left out
    return class_sums(logits.softmax(dim=1), kept, classes + 1)[:-1]


def update_centers(known: tuple[Tensor, Tensor], sums: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """Update class centers by a batch: c - rate · sum(c - f) / (1 + n), at first the class's mean.

    `known` are centers [C, D] and row counts [C, 1], `sums` [C, D + 1] as of `class_sums`;
    returns new centers and counts. Zhong et al., 2024 (https://www.mdpi.com/2076-3417/14/16/7022).

    >>> from selfdistill.functional import update_centers
    >>> update_centers((torch.zeros(1, 1), torch.zeros(1, 1)), torch.tensor([[6.0, 2.0]]), rate=0.5)
    (tensor([[3.]]), tensor([[2.]]))
    """
    centers, met = known
    total, counts = sums[:, :-1], sums[:, -1:]
    mean = total / counts.clamp(min=1)
    nearer = centers - rate * (counts * centers - total) / (1 + counts)
    first = (met == 0) & (counts > 0)
    return torch.where(first, mean, nearer), met + counts
