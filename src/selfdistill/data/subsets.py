"""Subsets of rows: stratified samples and validation splits."""

import torch
from torch import Generator, Tensor

from selfdistill.data.drawn_part import Fold, TestPart, option_of, sameness
from selfdistill.data.folds import draw_fold
from selfdistill.errors import UserError

TEST_SHARE, TEST_SEED = 0.2, 0  # where a data set has no splits; its test set does not depend on the run's seed


def stratified(labels: Tensor, count: int, seed: int) -> Tensor:
    """Sample `count` rows that keep the class proportions; return sorted indices. [N] -> [count].

    Each class gets at least one row; raises `UserError` where `count` is below the number of classes. Rows of tags
    [N, T] or of pixels [N, H, W] are sampled uniformly.

    >>> stratified(torch.tensor([0, 0, 1, 1]), 2, seed=0).shape
    torch.Size([2])
    """
    if labels.dim() > 1:
        return uniform(len(labels), count, seed)
    classes, sizes = torch.unique(labels, return_counts=True)
    if count < len(classes):
        raise UserError(
            f"{count} training images cannot hold one of each of {len(classes)} classes; take {len(classes)} or more"
        )
    if count >= len(labels):
        return torch.arange(len(labels))
    shuffled = torch.randperm(len(labels), generator=Generator().manual_seed(seed))
    order = labels[shuffled]
    quotas = zip(classes, class_quotas(sizes, count).tolist(), strict=True)
    return torch.cat([shuffled[order == k][:rows] for k, rows in quotas]).sort().values


def uniform(rows: int, count: int, seed: int) -> Tensor:
    """Sample `count` of `rows` rows; return sorted indices. -> [count]. Raises `UserError` for a count below one.

    >>> len(uniform(10, 3, seed=0)), uniform(2, 3, seed=0)
    (3, tensor([0, 1]))
    """
    if count < 1:
        raise UserError(f"{count} training images cannot be drawn; take one or more")
    return torch.randperm(rows, generator=Generator().manual_seed(seed))[:count].sort().values


def class_quotas(sizes: Tensor, count: int) -> Tensor:
    """Apportion `count` rows to classes by size: largest remainder, at least one each. [K] -> [K].

    >>> class_quotas(torch.tensor([90, 9, 1]), 10)
    tensor([8, 1, 1])
    """
    exact = sizes.double() * count / sizes.sum()
    rows = exact.floor().long().clamp(min=1)
    missing = count - int(rows.sum())
    step = 1 if missing > 0 else -1  # the minimum of one row may have assigned too many
    for _ in range(abs(missing)):
        need = (exact - rows) * step
        rows[int(need.masked_fill(rows + step < 1, -torch.inf).argmax())] += step
    return rows


def split_validation(labels: Tensor, share: float, seed: int, groups: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Split off a stratified validation share; every class stays in training. [N] -> [N - V], [V].

    With `groups` [N] those of one group stay together, and classes keep no share.

    >>> [len(part) for part in split_validation(torch.tensor([0, 1] * 10), 0.2, seed=0)]
    [16, 4]
    """
    if not 0 < share < 1:
        raise UserError(f"the validation share must lie between 0 and 1, but is {share}")
    held = max(round(len(labels) * share), 1)
    if groups is not None:
        drawn = whole_groups(groups, held, seed)
        return complement(drawn, len(labels)), drawn
    kept = stratified(labels, len(labels) - held, seed)
    return kept, complement(kept, len(labels))


def draw_test(labels: Tensor, part: TestPart, groups: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Draw a share of the rows, or a fold, as the test set. Labels [N] or more -> [N - T], [T].

    It is the same for all seeds: stratified, or whole groups [N]. Every class stays in training, so a share of classes
    with an image or two may be smaller. Raises `UserError` where no row is left for one of both, and where folds would
    lack a class.

    >>> [len(part) for part in draw_test(torch.tensor([0, 1] * 10), 0.2)]
    [16, 4]
    """
    if isinstance(part, Fold):
        return draw_fold(labels, part, groups)
    count = len(labels)
    held = round(count * part)
    if groups is None and labels.dim() == 1:
        held = min(held, count - len(labels.unique()))
    if count < 2 or (groups is None and not 0 < held < count):
        raise UserError(
            f"a share of {part:g} of {count} rows leaves no row on one side; take another share, or add rows"
        )
    if groups is not None:
        test = whole_groups(groups, held, TEST_SEED)
        return complement(test, count), test
    train = stratified(labels, count - held, TEST_SEED)
    return train, complement(train, count)


def require_undrawn(tested: bool, where: str, part: TestPart) -> None:
    """Raise `UserError` for `--test` or `--folds` with data that have test images."""
    if tested:
        raise UserError(f"{where} has test images, so there is nothing to draw; leave out {option_of(part)}")


def drawn_note(where: str, drawn: int, count: int, part: TestPart) -> str:
    """Sentence on a test set that was drawn.

    >>> drawn_note("'flowers'", 4, 20, 0.2)
    "4 of the 20 images of 'flowers', the same in every run, are the test set"
    """
    return f"{drawn} of the {count} images of {where}, {sameness(part)}, are the test set"


def whole_groups(groups: Tensor, count: int, seed: int) -> Tensor:
    """Draw whole groups until they have `count` rows, or as near as a group allows. groups [N] -> sorted rows [M].

    One group at least is drawn, and one is left. Raises `UserError` for a single group.

    >>> whole_groups(torch.tensor([0, 0, 1, 1, 2, 2]), 2, seed=0).shape
    torch.Size([2])
    """
    numbers, sizes = groups.unique(return_counts=True)
    if len(sizes) < 2:
        raise UserError("all rows are of one group, so they cannot be split; name another column by ?group=COLUMN")
    order = torch.randperm(len(sizes), generator=Generator().manual_seed(seed))
    sums = sizes[order].cumsum(0)[:-1]
    drawn = order[: int((sums - count).abs().argmin()) + 1]
    return torch.isin(groups, numbers[drawn]).nonzero().flatten()


def complement(chosen: Tensor, count: int) -> Tensor:
    """Indices below `count` that are not chosen, sorted. [M] -> [count - M].

    >>> complement(torch.tensor([0, 2]), 4)
    tensor([1, 3])
    """
    left = torch.ones(count, dtype=torch.bool)
    left[chosen] = False
    return left.nonzero().flatten()
