"""Batch-norm errors: one value per channel in training, and non-finite running statistics."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from selfdistill.errors import UserError

ONE_VALUE = "Expected more than 1 value per channel when training"  # of torch.nn.functional.batch_norm


@contextmanager
def one_value_refused(method: str, rows: int) -> Iterator[None]:
    """Turn the error of a batch norm that gets one value per channel into a `UserError`.

    The layer may belong to the student, a head or another network, depending on the sizes of inputs and batch.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:  # torch.compile raises a RuntimeError with the same words
        if ONE_VALUE not in str(error):
            raise
        raise UserError(
            f"a batch norm in the student or in a head of {method} gets one value per channel, which has no "
            f"variance: the batch has {rows} row{'s' * (rows > 1)} and the feature map one position; use larger "
            "batches (at least 2 rows; drop_last=True in a loader leaves out the short last one), or larger inputs"
        ) from error


def nonfinite_statistics(network: nn.Module) -> list[str]:
    """Return the names of running statistics that are NaN or infinite; one host sync."""
    statistics = dict(running_statistics(network))
    if not statistics or torch.stack([each.isfinite().all() for each in statistics.values()]).all():
        return []
    return [name for name, each in statistics.items() if not each.isfinite().all()]


def running_statistics(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and value of each running mean and variance."""
    for path, module in network.named_modules():
        if isinstance(module, _NormBase) and module.running_mean is not None and module.running_var is not None:
            yield f"{path}.running_mean", module.running_mean
            yield f"{path}.running_var", module.running_var
