"""Which rows to take: a stratified few, or a part held out for choices."""

import torch
from torch import Generator, Tensor

from selfdistill.errors import UserError


def stratified(labels: Tensor, count: int, seed: int) -> Tensor:
    """Indices of `count` rows drawn so that every class keeps its share, ascending. [N] -> [count].

    Each class gets at least one row; raises `UserError` where `count` is below the number of classes.
    """
    classes, sizes = labels.unique(return_counts=True)
    if count < len(classes):
        raise UserError(
            f"{count} training images cannot hold one of each of {len(classes)} classes; take {len(classes)} or more"
        )
    if count >= len(labels):
        return torch.arange(len(labels))
    shuffled = torch.randperm(len(labels), generator=Generator().manual_seed(seed))
    order = labels[shuffled]
    quotas = zip(classes, quota(sizes, count).tolist(), strict=True)
    return torch.cat([shuffled[order == k][:rows] for k, rows in quotas]).sort().values


def quota(sizes: Tensor, count: int) -> Tensor:
    """Share out `count` rows by the sizes of classes: largest remainder, one each at least. [K] -> [K]."""
    exact = sizes.double() * count / sizes.sum()
    rows = exact.floor().long().clamp(min=1)
    missing = count - int(rows.sum())
    step = 1 if missing > 0 else -1  # giving each class one may have given too many
    for _ in range(abs(missing)):
        need = (exact - rows) * step
        rows[int(need.masked_fill(rows + step < 1, -torch.inf).argmax())] += step
    return rows


def held_out(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a training part, which keeps every class, and of a stratified rest. [N] -> [N - V], [V]."""
    if not 0 < share < 1:
        raise UserError(f"the validation share must lie between 0 and 1, but is {share}")
    held = max(round(len(labels) * share), 1)
    kept = stratified(labels, len(labels) - held, seed)
    return kept, others(kept, len(labels))


def others(chosen: Tensor, count: int) -> Tensor:
    """The indices below `count` that are not chosen, ascending. [M] -> [count - M]."""
    left = torch.ones(count, dtype=torch.bool)
    left[chosen] = False
    return left.nonzero().flatten()
