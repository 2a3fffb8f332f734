"""Batches whose rows are mixed from several images each (mixup and its kin)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from selfdistill.terms import Batch, Mix


@dataclass(frozen=True)
class Mixing:
    """How to mix: mixup (https://arxiv.org/abs/1710.09412) over `images` rows at a time.

    The shares are Beta(alpha, alpha), or Dirichlet(alpha, …) for more than two images, drawn once
    a batch or once a row. `clean` keeps the unmixed images as `extra["clean"]`.
    """

    alpha: float = 1.0
    per: Literal["batch", "row"] = "batch"
    images: int = 2
    clean: bool = False

    def draw(self, rows: int, generator: Generator) -> Mix:
        """Draw shares and partners for a batch of this many rows, on the generator's device."""
        draws = rows if self.per == "row" else 1
        concentration = torch.full((draws, self.images), self.alpha, dtype=torch.float64)
        # Dirichlet by Gamma draws: torch's distributions take no generator.
        gammas = torch._standard_gamma(concentration, generator=generator)
        shares = gammas / gammas.sum(dim=1, keepdim=True)
        partners = [torch.arange(rows)] + [torch.randperm(rows, generator=generator) for _ in range(self.images - 1)]
        return Mix(shares.float().expand(rows, -1).contiguous(), torch.stack(partners, dim=1))


def mixed(rows: Tensor, mix: Mix) -> Tensor:
    """Each row as the weighted sum of its partners. [B, …] -> [B, …]."""
    shares = mix.shares.to(rows.dtype).view(*mix.shares.shape, *(1,) * (rows.dim() - 1))
    columns = zip(shares.unbind(dim=1), mix.partners.unbind(dim=1), strict=True)
    return sum((share * rows[partner] for share, partner in columns), start=torch.zeros_like(rows))


def mix_batch(batch: Batch, mix: Mix, clean: bool = False) -> Batch:
    """The batch with its images mixed, and the clean ones kept beside them on request."""
    extra = {**batch.extra, "clean": batch.images} if clean else batch.extra
    return batch._replace(images=mixed(batch.images, mix), mix=mix, extra=extra)
