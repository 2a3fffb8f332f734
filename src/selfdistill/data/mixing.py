"""Mixing and erasing of batches: mixup, CutMix, Cutout."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Size, Tensor

from selfdistill.data.batch import Batch, Mix
from selfdistill.errors import UserError
from selfdistill.inputs import Inputs, describe, device_of, map_tensors, positional_tensor, replace_tensor, tensors


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
        """Draw shares and partners for a batch of this size (B, C, ...), on the generator's device."""
        rows = size[0]
        shares = self._shares(rows if self.per == "row" else 1, generator)
        partners = [torch.arange(rows)] + [torch.randperm(rows, generator=generator) for _ in range(self.images - 1)]
        region = None
        if self.paste:
            region = _outside_rectangle(size[2:], float(shares[0, 1]), generator)
            own = region.float().mean()
            shares = torch.stack([own, 1 - own])[None]
        return Mix(shares.expand(rows, -1).contiguous(), torch.stack(partners, dim=1), region)

    def _tensor(self, inputs: Inputs) -> Tensor:
        """Return the tensor whose size decides the mixing; check that all inputs can be mixed."""
        found = tensors(inputs)
        if whole := [each for each in found if not each.is_floating_point()]:
            raise UserError(
                f"mixed examples are weighted sums, but these inputs hold integers ({describe(whole[0])}); "
                "use a method that does not mix"
            )
        if not self.paste:
            return found[0]
        pasted = positional_tensor(inputs, "pasting (CutMix) needs", dims=1)
        if len(found) > 1:
            raise UserError(
                f"pasting (CutMix) changes one tensor only, but the inputs are {describe(inputs)}; use a method that "
                "mixes all of them, such as mixup"
            )
        return pasted

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
        """Mix a batch with random shares and partners. Raises `UserError` for inputs that cannot be mixed."""
        mix = self.draw(self._tensor(batch.inputs).shape, generator)
        device = device_of(batch.inputs)
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
        """Erase a random square of each image; an interval of a signal, a cube of a volume."""
        values = positional_tensor(batch.inputs, "erasing (Cutout) needs", dims=1)
        rows, _, *sides = values.shape
        centers = _to_device(torch.rand(len(sides), rows, 1, generator=generator), values.device)
        erased = _box(
            [_interval_mask(at * side, side, self.share * side) for at, side in zip(centers, sides, strict=True)]
        )
        return batch._replace(inputs=replace_tensor(batch.inputs, values, values.masked_fill(erased[:, None], 0.0)))


def _to_device(drawn: Tensor, device: torch.device) -> Tensor:
    """Copy to a device without synchronization."""
    return drawn.to(device, non_blocking=True)


def mixed(rows: Tensor, mix: Mix) -> Tensor:
    """Weighted sum of each row's partners. [B, …] -> [B, …]."""
    shares = mix.shares.to(rows.dtype).view(*mix.shares.shape, *(1,) * (rows.dim() - 1))
    columns = zip(shares.unbind(dim=1), mix.partners.unbind(dim=1), strict=True)
    return sum((share * rows[partner] for share, partner in columns), start=torch.zeros_like(rows))


def label_shares(batch: Batch, classes: int, *, weighted: bool = False) -> Tensor:
    """Soft labels: the share of each class in each row; one-hot where rows are not mixed. -> [B, C].

    Rows without a label (-100) have shares of zero. With `weighted`, each share is times the weight of its example.
    """
    if batch.mix is None:
        labels = _one_hot(batch.labels, classes)
        return labels * partner_weights(batch) if weighted else labels
    each = _one_hot(batch.labels[batch.mix.partners], classes)  # [B, n, C]
    shares = partner_weights(batch) if weighted else batch.mix.shares
    return (shares[:, :, None] * each).sum(dim=1)


def partner_weights(batch: Batch) -> Tensor:
    """Weight of each partner of a row in losses of labels: its share, times the weight of its example. -> [B, n]."""
    shares = torch.ones_like(batch.labels, dtype=torch.float)[:, None] if batch.mix is None else batch.mix.shares
    if batch.weights is None:
        return shares
    return shares * (batch.weights[:, None] if batch.mix is None else batch.weights[batch.mix.partners])


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    return F.one_hot(labels.clamp_min(0), classes) * (labels >= 0)[..., None].float()


def mix_batch(batch: Batch, mix: Mix, clean: bool = False) -> Batch:
    """Mix the inputs of a batch; with `clean` keep the originals as `extra["clean"]`."""
    extra = {**batch.extra, "clean": batch.inputs} if clean else batch.extra
    return batch._replace(inputs=map_tensors(lambda each: _mixed(each, mix), batch.inputs), mix=mix, extra=extra)


def _mixed(values: Tensor, mix: Mix) -> Tensor:
    if mix.region is None:
        return mixed(values, mix)
    return torch.where(mix.region, values, values[mix.partners[:, 1]])


def _outside_rectangle(sides: Size, share: float, generator: Generator) -> Tensor:
    """Mask outside a random rectangle of a share of the area, clipped at the borders. -> [H, W] bool."""
    centers, length = torch.rand(len(sides), 1, generator=generator), share ** (1 / len(sides))
    pasted = [_interval_mask(at * side, side, side * length) for at, side in zip(centers, sides, strict=True)]
    return ~_box(pasted)[0]


def _box(intervals: Sequence[Tensor]) -> Tensor:
    """Intersect masks of intervals along each dimension. [B, side] each -> [B, *sides]."""
    dims = len(intervals)
    spread = [each.view(len(each), *(-1 if k == own else 1 for k in range(dims))) for own, each in enumerate(intervals)]
    return reduce(torch.logical_and, spread)


def _interval_mask(center: Tensor, side: int, length: float) -> Tensor:
    """Mask of the pixels within an interval around each center. [B, 1] or [1] -> [B, side] bool."""
    start = (center - length / 2).round().reshape(-1, 1)
    places = torch.arange(side, device=center.device)
    return (places >= start) & (places < start + round(length))
