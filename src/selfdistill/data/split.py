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
            f"{count} images cannot hold one of each of {len(classes)} classes; take {len(classes)} or more"
        )
    if count >= len(labels):
        return torch.arange(len(labels))
    draws = Generator().manual_seed(seed)
    shuffled = torch.randperm(len(labels), generator=draws)
    quota = dict(zip(classes.tolist(), _quotas(sizes, count), strict=True))
    chosen = [shuffled[labels[shuffled] == k][:rows] for k, rows in quota.items()]
    return torch.cat(chosen).sort().values


def _quotas(sizes: Tensor, count: int) -> list[int]:
    """Rows of each class: one each, then the rest by largest remainder. [K] -> K numbers that sum to count."""
    exact = sizes.double() * count / sizes.sum()
    rows = exact.floor().long().clamp(min=1)
    by_need = (exact - rows.double()).sort(descending=True, stable=True).indices.tolist()
    missing = count - int(rows.sum())
    for k in by_need[: max(missing, 0)]:
        rows[k] += 1
    for _ in range(-missing):  # the rows that classes below one had to be given
        rows[int((rows.double() - exact).where(rows > 1, torch.tensor(-torch.inf).double()).argmax())] -= 1
    return rows.tolist()


def held_out(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a training part and of a stratified part held out of it. [N] -> [N - V], [V]."""
    if not 0 < share < 1:
        raise UserError(f"the validation share must lie between 0 and 1, but is {share}")
    held = stratified(labels, max(round(len(labels) * share), len(labels.unique())), seed)
    kept = torch.ones(len(labels), dtype=torch.bool)
    kept[held] = False
    return kept.nonzero().flatten(), held
