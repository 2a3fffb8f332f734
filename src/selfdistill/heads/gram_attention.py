"""Attention of a student's stages over a teacher's, by the similarities of a batch (https://arxiv.org/abs/2012.03236)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.errors import UserError
from selfdistill.functional import l2_normalize


class GramAttention(nn.Module):
    """Shares of the teacher's m stages for each of the student's n, by keys and queries from Gram matrices.

    Chen et al., 2021. Each network reads a row of `batch` similarities; columns of a smaller batch are zeros.
    """

    def __init__(self, student: int, teacher: int, batch: int, temperature: float):
        super().__init__()
        self.batch, self.temperature = batch, temperature
        self.queries = nn.ModuleList(_row_network(batch) for _ in range(student))
        self.keys = nn.ModuleList(_row_network(batch) for _ in range(teacher))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Return the shares, which sum to 1 over m stages of the teacher. n and m of [B, …] -> [B, n, m].

        Raises `UserError` for a batch of more rows than `batch`.
        """
        queries, keys = self._read(self.queries, student), self._read(self.keys, teacher)
        return (torch.einsum("bne,bme->bnm", queries, keys) / self.temperature).softmax(dim=2)

    def _read(self, networks: nn.ModuleList, stages: Sequence[Tensor]) -> Tensor:
        rows = [network(self._similarities(each)) for network, each in zip(networks, stages, strict=True)]
        return l2_normalize(torch.stack(rows, dim=1))

    def _similarities(self, stage: Tensor) -> Tensor:
        """Compute the products of all rows. [B, …] -> [B, batch]."""
        if len(stage) > self.batch:
            raise UserError(
                f"the attention reads similarities of {self.batch} examples, as many as the example inputs, but this "
                f"batch has {len(stage)}; pass a whole batch as the example"
            )
        rows = stage.flatten(1)
        return F.pad(rows @ rows.T, (0, self.batch - len(stage)))


def _row_network(batch: int) -> nn.Sequential:
    """Make two layers that halve their width. [B, batch] -> [B, batch / 4], 2 at least: one entry has no direction."""
    hidden, out = max(2, batch // 2), max(2, batch // 4)
    return nn.Sequential(nn.Linear(batch, hidden), nn.ReLU(), nn.Linear(hidden, out))
