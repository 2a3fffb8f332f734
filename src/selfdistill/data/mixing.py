"""Batches whose images are mixed from several each, or partly erased (mixup, CutMix, Cutout)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Size, Tensor

from selfdistill.data.batch import Batch, Mix


@dataclass(frozen=True)
class Mixing:
    """How to mix: mixup (https://arxiv.org/abs/1710.09412) over `images` rows at a time.

    The shares are Beta(alpha, alpha), or Dirichlet(alpha, …) for more than two images, drawn once
    a batch or once a row. With `paste` a rectangle of the partner's image is pasted, as large as its
    share (https://arxiv.org/abs/1905.04899). `clean` keeps the unmixed images as `extra["clean"]`; a
    batch is left whole with the chance 1 - `chance`.
    """

    alpha: float = 1.0
    per: Literal["batch", "row"] = "batch"
    images: int = 2
    clean: bool = False
    paste: bool = False
    chance: float = 1.0

    def draw(self, size: Size, generator: Generator) -> Mix:
        """Draw shares and partners for a batch of this size [B, 3, H, W], on the generator's device."""
        rows = size[0]
        shares = self._shares(rows if self.per == "row" else 1, generator)
        partners = [torch.arange(rows)] + [torch.randperm(rows, generator=generator) for _ in range(self.images - 1)]
        region = None
        if self.paste:
            region = _rectangle_apart(size[2:], float(shares[0, 1]), generator)
            own = region.float().mean()
            shares = torch.stack([own, 1 - own])[None]
        return Mix(shares.expand(rows, -1).contiguous(), torch.stack(partners, dim=1), region)

    def _shares(self, draws: int, generator: Generator) -> Tensor:
        """Shares of the images in a mixture, the row's own first. -> [draws, images]."""
        concentration = torch.full((draws, self.images), self.alpha, dtype=torch.float64)
        # Dirichlet by Gamma draws: torch's distributions take no generator.
        gammas = torch._standard_gamma(concentration, generator=generator)
        shares = (gammas / gammas.sum(dim=1, keepdim=True)).float()
        if self.chance < 1 and torch.rand((), generator=generator) >= self.chance:
            shares = torch.eye(self.images)[:1].expand(draws, -1)
        return shares

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """The batch mixed as drawn from this generator."""
        mix = self.draw(batch.images.shape, generator)
        device = batch.images.device
        region = None if mix.region is None else _sent(mix.region, device)
        return mix_batch(batch, Mix(_sent(mix.shares, device), _sent(mix.partners, device), region), self.clean)


@dataclass(frozen=True)
class Erasing:
    """Cutout (https://arxiv.org/abs/1708.04552): a square of zeros at a random place, cut at the borders.

    `share` is the square's side in sides of the image. Zero is the mean of a normalised image.
    """

    share: float

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """The batch with a square of each image erased, as drawn from this generator."""
        rows, _, height, width = batch.images.shape
        y, x = _sent(torch.rand(2, rows, 1, generator=generator), batch.images.device)
        gone_y = _near(y * height, height, self.share * height)
        gone_x = _near(x * width, width, self.share * width)
        gone = gone_y[:, :, None] & gone_x[:, None, :]
        return batch._replace(images=batch.images.masked_fill(gone[:, None], 0.0))


def _sent(drawn: Tensor, device: torch.device) -> Tensor:
    """What was drawn, on its way to a device: nobody waits until it is there."""
    return drawn.to(device, non_blocking=True)


def mixed(rows: Tensor, mix: Mix) -> Tensor:
    """Each row as the weighted sum of its partners. [B, …] -> [B, …]."""
    shares = mix.shares.to(rows.dtype).view(*mix.shares.shape, *(1,) * (rows.dim() - 1))
    columns = zip(shares.unbind(dim=1), mix.partners.unbind(dim=1), strict=True)
    return sum((share * rows[partner] for share, partner in columns), start=torch.zeros_like(rows))


def label_shares(batch: Batch, classes: int) -> Tensor:
    """What share of each row is of which class: one-hot, where rows are not mixed. -> [B, C]."""
    if batch.mix is None:
        return F.one_hot(batch.labels, classes).to(batch.images.dtype)
    each = F.one_hot(batch.labels[batch.mix.partners], classes)  # [B, n, C]
    return (batch.mix.shares[:, :, None] * each).sum(dim=1)


def mix_batch(batch: Batch, mix: Mix, clean: bool = False) -> Batch:
    """The batch with its images mixed, and the clean ones kept beside them on request."""
    extra = {**batch.extra, "clean": batch.images} if clean else batch.extra
    return batch._replace(images=_mixed_images(batch.images, mix), mix=mix, extra=extra)


def _mixed_images(images: Tensor, mix: Mix) -> Tensor:
    if mix.region is None:
        return mixed(images, mix)
    return torch.where(mix.region, images, images[mix.partners[:, 1]])


def _rectangle_apart(sides: Size, share: float, generator: Generator) -> Tensor:
    """Where an image stays: outside a rectangle of this share of its area, cut at the borders. -> [H, W]."""
    y, x = torch.rand(2, 1, generator=generator)
    pasted = [_near(at * side, side, side * share**0.5)[0] for at, side in zip((y, x), sides, strict=True)]
    return ~(pasted[0][:, None] & pasted[1][None, :])


def _near(center: Tensor, side: int, length: float) -> Tensor:
    """Which of `side` pixels lie in a stretch of this length around each center. [B, 1] or [1] -> [B, side]."""
    start = (center - length / 2).round().reshape(-1, 1)
    places = torch.arange(side, device=center.device)
    return (places >= start) & (places < start + round(length))
