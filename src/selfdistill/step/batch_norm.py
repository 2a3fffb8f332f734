"""Batch norm in training: batches that give it one value per channel, and running statistics that overflow."""

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

    It may be a layer of the student, of a head or of another network; which of them meets one value depends on the
    sizes of the images and the batch.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:  # torch.compile raises a RuntimeError with the same words
        if ONE_VALUE not in str(error):
            raise
        raise UserError(
            f"a batch norm in the student or in a head of {method} gets one value per channel, of which it has no "
            f"variance: the batch has {rows} row{'s' * (rows > 1)} and the feature map one position; take larger "
            "batches (at least 2 rows; in a loader drop_last=True leaves the short last one out), or larger images"
        ) from error


def nonfinite_statistics(network: nn.Module) -> list[str]:
    """Names of the running statistics that are NaN or infinite; waits for the device once."""
    found = dict(running_statistics(network))
    if not found or torch.stack([each.isfinite().all() for each in found.values()]).all():
        return []
    return [name for name, each in found.items() if not each.isfinite().all()]


def running_statistics(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Running means and variances of all norms, with their names."""
    for path, module in network.named_modules():
        if isinstance(module, _NormBase) and module.running_mean is not None and module.running_var is not None:
            yield f"{path}.running_mean", module.running_mean
            yield f"{path}.running_var", module.running_var
