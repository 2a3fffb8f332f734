"""Small classifiers on stage features of any number of dimensions."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.functional import channels, global_average_pool
from selfdistill.heads.gated import GatedHead
from selfdistill.heads.layers import layers_for
from selfdistill.terms import ModelOutputs, Pool, Rows

KINDS = {2: "vectors", 3: "tokens", 5: "volumes"}  # by number of dimensions


def make_head(shape: Size, classes: int, kind: str = "light") -> nn.Module:
    """Make a classifier of `classes` for features of a shape: a map [B, D, H, W], a volume, tokens or a vector.

    `kind` is "light", which fits any shape, or "gated", LightSKD's published head for maps with even
    sides. Raises `UserError` where the kind does not fit the shape.
    """
    if kind not in ("light", "gated"):
        raise UserError(f"there is no head {kind!r}; there are 'light' and 'gated'")
    if kind == "light":
        return LightHead(shape, classes) if len(shape) > 3 else TokenHead(channels(shape), classes)
    if len(shape) != 4:
        found = KINDS.get(len(shape), f"{len(shape)} dimensions")
        raise UserError(f"the gated head needs maps, but the tap gives {found}; pass head='light'")
    return GatedHead(shape, classes)


class StageHeads(nn.ModuleList):
    """A light classifier on each of several stages."""

    def __init__(self, shapes: Sequence[Size], classes: int):
        super().__init__(make_head(shape, classes) for shape in shapes)

    def forward(self, features: Sequence[Tensor], rows: Rows) -> list[Tensor]:
        """Features of any kind -> [R, C] each."""
        return [rows.logits(head(each, rows.pool)) for head, each in zip(self, features, strict=True)]


class LightHead(nn.Module):
    """A strided 3x3 convolution, pooling and a linear classifier, for maps and volumes of any size.

    Maps of 4x4 or more are first average-pooled by 2x2, which quarters the cost; volumes likewise.
    """

    def __init__(self, shape: Size, classes: int):
        super().__init__()
        layers, width = layers_for(len(shape)), channels(shape)
        convolve = layers.conv(width, width, 3, stride=2, padding=1, bias=False)
        self.embed = nn.Sequential(HalvingPool(), convolve, layers.batch_norm(width), nn.ReLU())
        self.classify = nn.Linear(width, classes)

    def forward(self, features: Tensor, pool: Pool = global_average_pool) -> Tensor:
        """[B, D, *sides] -> [R, C]; `pool` makes a row of each example, or of each pixel."""
        logits: Tensor = self.classify(pool(self.embed(features)))
        return logits


class ExitHead(nn.Module):
    """A head that also returns its embedding [B, D] of a chosen width."""

    def __init__(self, shape: Size, width: int, classes: int):
        super().__init__()
        own, layers = channels(shape), layers_for(len(shape))
        if len(shape) > 3:
            convolve = layers.conv(own, width, 3, stride=2, padding=1, bias=False)
            self.embed = nn.Sequential(HalvingPool(), convolve, layers.batch_norm(width), nn.ReLU())
        else:
            self.embed = nn.Sequential(nn.LayerNorm(own), nn.Linear(own, width), nn.GELU())
        self.classify = nn.Linear(width, classes)

    def forward(self, features: Tensor, pool: Pool = global_average_pool) -> ModelOutputs:
        """[B, D, *sides], [B, N, D] or [B, D] -> logits [R, C] and embedding [R, width]."""
        embedding = pool(self.embed(features), source=features)
        return ModelOutputs(self.classify(embedding), embedding, {})


class GlobalPool(nn.Module):
    """The mean over positions, or over the tokens that are present."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, *sides], [B, N, D] or [B, D] -> [B, D]."""
        return global_average_pool(features)


class HalvingPool(nn.Module):
    """Average pooling by 2 a side, unless a side is under 4: a later BatchNorm is to see several positions."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D, H/2, W/2]; volumes likewise."""
        pool = F.avg_pool2d if features.dim() == 4 else F.avg_pool3d
        return pool(features, 2) if min(features.shape[2:]) >= 4 else features


class TokenHead(nn.Module):
    """A norm, the mean over the tokens that are present and a linear classifier; a vector is one token."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)

    def forward(self, tokens: Tensor, pool: Pool = global_average_pool) -> Tensor:
        """[B, N, D] or [B, D] -> [R, C]."""
        logits: Tensor = self.classify(pool(self.norm(tokens), source=tokens))
        return logits
