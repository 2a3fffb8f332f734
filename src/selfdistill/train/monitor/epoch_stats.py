"""Statistics of the steps of one epoch."""

import torch
from torch import Tensor

from selfdistill import distributed

ACCURACY, FINITE = -2, -1  # columns after the losses


class EpochStats:
    """A table with a row for each step: losses, accuracy as a fraction, and 1 if all values were finite.

    Rows stay on the device until they are read, to avoid a host sync at each step.
    """

    def __init__(self) -> None:
        self.rows: list[Tensor] = []
        self.names: list[str] = []  # of the losses

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, losses: dict[str, Tensor], accuracy: Tensor, finite: Tensor) -> None:
        """Add a step's row. Each value is []."""
        self.names = list(losses)
        self.rows.append(torch.stack([*losses.values(), accuracy, finite.to(accuracy.dtype)]))

    def means(self) -> tuple[dict[str, float], float]:
        """Return the mean of each loss and the accuracy in percent, over all ranks; a collective call."""
        means = (distributed.all_reduce_sum(torch.stack(self.rows).mean(dim=0)) / distributed.world_size()).tolist()
        losses = dict(zip(self.names, means[:ACCURACY], strict=True))
        return losses, 100 * means[ACCURACY]

    def first_nonfinite(self) -> tuple[int, dict[str, float]]:
        """Return the first non-finite step and its losses; there must be one."""
        table = self._table()
        step = int((table[:, FINITE] == 0).nonzero()[0])
        return step, dict(zip(self.names, table[step, :ACCURACY].tolist(), strict=True))

    def state_dict(self) -> Tensor | None:
        """Return the rows so far, for a checkpoint. -> [steps, losses + 2]."""
        return self._table() if self.rows else None

    def load_state_dict(self, table: Tensor | None, device: torch.device) -> None:
        """Restore the rows of a checkpoint."""
        self.rows = [] if table is None else list(table.to(device))

    def _table(self) -> Tensor:
        return torch.stack(self.rows).cpu()
