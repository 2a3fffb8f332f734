"""Folds of cross-validation: stratified, in whole groups, the same for all seeds."""

from itertools import islice

import torch
from torch import Tensor

from selfdistill.data.drawn_part import Fold
from selfdistill.errors import UserError

SEED = 0  # of the folds, which do not depend on the run's seed


def draw_fold(labels: Tensor, fold: Fold, groups: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Split off a fold as the test set. Labels [N] or more -> training rows [N - T], test rows [T].

    Classes keep their shares, and groups [N] stay whole. Rows of tags [N, T] or of pixels [N, H, W] have no classes to
    keep. Raises `UserError` for a class with fewer rows, or groups, than there are folds.

    >>> [len(part) for part in draw_fold(torch.tensor([0, 1] * 10), Fold(0, 5))]
    [16, 4]
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    strata = labels if labels.dim() == 1 else torch.zeros(len(labels), dtype=torch.long)
    _require_enough(strata, fold.folds, groups)
    split = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = split(fold.folds, shuffle=True, random_state=SEED).split(strata, strata, groups)
    train, test = next(islice(folds, fold.fold, None))
    return torch.from_numpy(train), torch.from_numpy(test)


def _require_enough(strata: Tensor, folds: int, groups: Tensor | None) -> None:
    """Raise `UserError` unless each fold can have a row, or a group, of every class."""
    pairs = strata[None] if groups is None else torch.stack([strata, groups]).unique(dim=1)
    sizes = pairs[0].unique(return_counts=True)[1]
    least, unit = int(sizes.min()), "row" if groups is None else "group"
    if least >= folds:
        return
    what = f"the smallest of {len(sizes)} classes has" if len(sizes) > 1 else "the data have"
    fewer = f"pass --folds {least} at most, or add some" if least > 1 else "add some, or remove the class"
    raise UserError(f"{what} {least} {unit}{'s' * (least > 1)}, fewer than the {folds} folds; {fewer}")
