"""Weights of examples in losses of labels: their check, and their scale over parts and processes."""

from collections.abc import Mapping, Sequence

import torch

from selfdistill import distributed
from selfdistill.data.batch import Batch
from selfdistill.data.mixing import partner_weights
from selfdistill.errors import UserError
from selfdistill.terms import LossTerm


def require_weightable(terms: Mapping[str, LossTerm], text: str) -> None:
    """Raise `UserError` for a method with a loss of labels that weights of examples do not reach."""
    if found := [name for name, term in terms.items() if not term.supports_weights]:
        raise UserError(
            f"weights of examples do not reach all losses of labels in {text} (term {found[0]!r}); leave the weights "
            "out, or use another method, such as ce(), kd() or drg()"
        )


def relative_weights(parts: Sequence[Batch]) -> Sequence[Batch]:
    """Divide the weights of a batch's parts by their mean over the rows of all parts and processes.

    The mean of weighted losses over parts and processes is then Σ w · loss / Σ w over the batch, as that of
    `F.cross_entropy(weight=…)`. A mixed row weighs as its partners do, by their shares. Parts without weights stay.
    """
    if any(each.weights is None for each in parts):
        return parts
    sums = torch.stack([partner_weights(each).sum() for each in parts]).sum()
    rows = sums.new_tensor(sum(len(each.labels) for each in parts))
    total, count = distributed.all_reduce_sum(torch.stack([sums, rows]))
    mean = (total / count).clamp_min(torch.finfo(total.dtype).tiny)
    return [each._replace(weights=each.weights / mean) for each in parts if each.weights is not None]
