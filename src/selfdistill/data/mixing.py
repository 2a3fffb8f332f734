"""Mixing and erasing of batches: mixup, CutMix, Cutout."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Size, Tensor

from selfdistill.data.batch import Batch, Mix


@dataclass(frozen=True)
class Mixing:
    """Mixup (https://arxiv.org/abs/1710.09412) of `images` rows at a time, or CutMix.

    Shares follow Beta(alpha, alpha), or Dirichlet(alpha, …) for more than two images, drawn per batch or per
    row. With `paste` (CutMix, https://arxiv.org/abs/1905.04899) a rectangle of the partner's image is pasted
    whose area is its share. `clean` keeps the unmixed images as `extra["clean"]`; `chance` is the probability
    that a batch is mixed at all.
    """

    alpha: float = 1.0
    per: Literal["batch", "row"] = "batch"
    images: int = 2
    clean: bool = False
    paste: bool = False
    chance: float = 1.0

    def draw(self, size: Size, generator: Generator) -> Mix:
        """Draw shares and partners for a batch of this size (B, 3, H, W), on the generator's device."""
        rows = size[0]
        shares = self._shares(rows if self.per == "row" else 1, generator)
        partners = [torch.arange(rows)] + [torch.randperm(rows, generator=generator) for _ in range(self.images - 1)]
        region = None
        if self.paste:
            region = _outside_rectangle(size[2:], float(shares[0, 1]), generator)
            own = region.float().mean()
            shares = torch.stack([own, 1 - own])[None]
        return Mix(shares.expand(rows, -1).contiguous(), torch.stack(partners, dim=1), region)

    def _shares(self, draws: int, generator: Generator) -> Tensor:
        """Draw the shares of the images in a mixture, the row's own first. -> [draws, images]."""
        concentration = torch.full((draws, self.images), self.alpha, dtype=torch.float64)
        # Dirichlet by Gamma draws: torch's distributions take no generator.
        gammas = torch._standard_gamma(concentration, generator=generator)
        shares = (gammas / gammas.sum(dim=1, keepdim=True)).float()
        if self.chance < 1 and torch.rand((), generator=generator) >= self.chance:
            shares = torch.eye(self.images)[:1].expand(draws, -1)
        return shares

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """Mix a batch with random shares and partners."""
        mix = self.draw(batch.images.shape, generator)
        device = batch.images.device
        region = None if mix.region is None else _to_device(mix.region, device)
        return mix_batch(
            batch, Mix(_to_device(mix.shares, device), _to_device(mix.partners, device), region), self.clean
        )


@dataclass(frozen=True)
class Erasing:
    """Cutout (https://arxiv.org/abs/1708.04552): zero a square at a random place, clipped at the borders.

    `share` is the side of the square relative to the image. Zero is the mean of a normalized image.
    """

    share: float

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """Erase a random square of each image."""
        rows, _, height, width = batch.images.shape
        y, x = _to_device(torch.rand(2, rows, 1, generator=generator), batch.images.device)
        gone_y = _interval_mask(y * height, height, self.share * height)
        gone_x = _interval_mask(x * width, width, self.share * width)
        gone = gone_y[:, :, None] & gone_x[:, None, :]
        return batch._replace(images=batch.images.masked_fill(gone[:, None], 0.0))


def _to_device(drawn: Tensor, device: torch.device) -> Tensor:
    """Copy to a device without synchronization."""
    return drawn.to(device, non_blocking=True)


def mixed(rows: Tensor, mix: Mix) -> Tensor:
    """Weighted sum of each row's partners. [B, …] -> [B, …]."""
    shares = mix.shares.to(rows.dtype).view(*mix.shares.shape, *(1,) * (rows.dim() - 1))
    columns = zip(shares.unbind(dim=1), mix.partners.unbind(dim=1), strict=True)
    return sum((share * rows[partner] for share, partner in columns), start=torch.zeros_like(rows))


def label_shares(batch: Batch, classes: int) -> Tensor:
    """Soft labels: the share of each class in each row; one-hot where rows are not mixed. -> [B, C]."""
    if batch.mix is None:
        return F.one_hot(batch.labels, classes).to(batch.images.dtype)
    each = F.one_hot(batch.labels[batch.mix.partners], classes)  # [B, n, C]
    return (batch.mix.shares[:, :, None] * each).sum(dim=1)


def mix_batch(batch: Batch, mix: Mix, clean: bool = False) -> Batch:
    """Mix the images of a batch; with `clean` keep the originals as `extra["clean"]`."""
    extra = {**batch.extra, "clean": batch.images} if clean else batch.extra
    return batch._replace(images=_mixed_images(batch.images, mix), mix=mix, extra=extra)


def _mixed_images(images: Tensor, mix: Mix) -> Tensor:
    if mix.region is None:
        return mixed(images, mix)
    return torch.where(mix.region, images, images[mix.partners[:, 1]])


def _outside_rectangle(sides: Size, share: float, generator: Generator) -> Tensor:
    """Mask outside a random rectangle of a share of the area, clipped at the borders. -> [H, W] bool."""
    y, x = torch.rand(2, 1, generator=generator)
    pasted = [_interval_mask(at * side, side, side * share**0.5)[0] for at, side in zip((y, x), sides, strict=True)]
    return ~(pasted[0][:, None] & pasted[1][None, :])


def _interval_mask(center: Tensor, side: int, length: float) -> Tensor:
    """Mask of the pixels within an interval around each center. [B, 1] or [1] -> [B, side] bool."""
    start = (center - length / 2).round().reshape(-1, 1)
    places = torch.arange(side, device=center.device)
    return (places >= start) & (places < start + round(length))
