"""Statistics of the steps of one epoch."""

import torch
from torch import Tensor

from selfdistill import distributed

RIGHT, SOUND = -2, -1  # columns after the losses


class EpochStats:
    """A row for each step: its losses, the share of images that were right, and whether the step was sound.

    Rows stay on the device until they are read: reading one would wait for it.
    """

    def __init__(self) -> None:
        self.rows: list[Tensor] = []
        self.names: list[str] = []  # of the losses

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, losses: dict[str, Tensor], right: Tensor, sound: Tensor) -> None:
        """Add a step's row. Each value is []."""
        self.names = list(losses)
        self.rows.append(torch.stack([*losses.values(), right, sound.to(right.dtype)]))

    def means(self) -> tuple[dict[str, float], float]:
        """Return the mean of each loss and the accuracy in percent, over all ranks; a collective call."""
        means = (distributed.all_reduce_sum(torch.stack(self.rows).mean(dim=0)) / distributed.world_size()).tolist()
        losses = dict(zip(self.names, means[:RIGHT], strict=True))
        return losses, 100 * means[RIGHT]

    def first_nonfinite(self) -> tuple[int, dict[str, float]]:
        """The first step that was not sound, and its losses; there must be one."""
        table = self._table()
        step = int((table[:, SOUND] == 0).nonzero()[0])
        return step, dict(zip(self.names, table[step, :RIGHT].tolist(), strict=True))

    def state_dict(self) -> Tensor | None:
        """The rows so far, for a checkpoint. -> [steps, losses + 2]."""
        return self._table() if self.rows else None

    def load_state_dict(self, table: Tensor | None, device: torch.device) -> None:
        """Go on from such rows."""
        self.rows = [] if table is None else list(table.to(device))

    def _table(self) -> Tensor:
        return torch.stack(self.rows).cpu()
