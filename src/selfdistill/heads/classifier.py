"""Small classifiers on feature maps or tokens."""

import torch.nn.functional as F
from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.functional import global_average_pool
from selfdistill.heads.gated import GatedHead
from selfdistill.terms import ModelOutputs


def make_head(shape: Size, classes: int, kind: str = "light") -> nn.Module:
    """Make a classifier of `classes` for features of a shape: [B, D, H, W] maps or [B, N, D] tokens.

    `kind` is "light", which fits any map, or "gated", LightSKD's published head for maps with even
    sides. Tokens have one head. Raises `UserError` where the kind does not fit the shape.
    """
    match len(shape), kind:
        case 4, "light":
            return LightHead(shape[1], classes)
        case 4, "gated":
            return GatedHead(shape, classes)
        case 3, "light":
            return TokenHead(shape[2], classes)
        case 3, "gated":
            raise UserError("the gated head needs maps, but the tap gives tokens; pass head='light'")
        case 4, _:
            raise UserError(f"there is no head {kind!r}; there are 'light' and 'gated'")
    raise UserError(f"no head reads features of shape {tuple(shape)}; tap a map or tokens")


class LightHead(nn.Sequential):
    """A strided 3x3 convolution, pooling and a linear classifier, for maps of any size.

    Maps of 4x4 or more are first average-pooled by 2x2, which quarters the cost.
    """

    def __init__(self, width: int, classes: int):
        super().__init__(
            AvgPool2x2(),
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, classes),
        )


class ExitHead(nn.Module):
    """A head that also returns its embedding [B, D] of a chosen width."""

    def __init__(self, shape: Size, width: int, classes: int):
        super().__init__()
        if len(shape) == 4:
            convolve = nn.Conv2d(shape[1], width, 3, stride=2, padding=1, bias=False)
            self.embed = nn.Sequential(AvgPool2x2(), convolve, nn.BatchNorm2d(width), nn.ReLU(), Pool())
        else:
            self.embed = nn.Sequential(nn.LayerNorm(shape[2]), nn.Linear(shape[2], width), nn.GELU(), Pool())
        self.classify = nn.Linear(width, classes)

    def forward(self, features: Tensor) -> ModelOutputs:
        """[B, D, H, W] or [B, N, D] -> logits [B, C] and embedding [B, width]."""
        embedding = self.embed(features)
        return ModelOutputs(self.classify(embedding), embedding, {})


class Pool(nn.Module):
    """The mean over positions, or over tokens."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] or [B, N, D] -> [B, D]."""
        return global_average_pool(features)


class AvgPool2x2(nn.Module):
    """Average pooling by 2x2; maps under 4x4 pass unchanged, so that a later BatchNorm sees several positions."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D, H/2, W/2]."""
        return F.avg_pool2d(features, 2) if min(features.shape[2:]) >= 4 else features


class TokenHead(nn.Module):
    """A norm, the mean over tokens and a linear classifier."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, N, D] -> [B, C]."""
        logits: Tensor = self.classify(self.norm(tokens).mean(dim=1))
        return logits
