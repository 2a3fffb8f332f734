"""Fusion of features from several sources, and classifiers on them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Size, Tensor, nn

from selfdistill.functional import as_map
from selfdistill.heads.classifier import Pool


class AttentiveFusion(nn.Module):
    """Attention-based fusion of one level's features with the deeper level's residual.

    Chen et al., 2021 (https://arxiv.org/abs/2104.09044). The deepest level has no `fuse` and so no attention.
    """

    def __init__(self, width: int, middle: int, out: int, fuse: bool):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(width, middle, 1, bias=False), nn.BatchNorm2d(middle))
        self.conv2 = nn.Sequential(nn.Conv2d(middle, out, 3, padding=1, bias=False), nn.BatchNorm2d(out))
        self.att_conv = nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid()) if fuse else None

    def forward(self, own: Tensor, deeper: Tensor | None, size: Size) -> tuple[Tensor, Tensor]:
        """Return a prediction of the teacher's map [B, E, *size] and the residual for the next level [B, M, *size]."""
        fused = self.conv1(own)
        if self.att_conv is not None and deeper is not None:
            deeper = F.interpolate(deeper, fused.shape[2:])
            gates = self.att_conv(torch.cat([fused, deeper], dim=1))
            fused = fused * gates[:, :1] + deeper * gates[:, 1:]
        fused = F.interpolate(fused, size)
        return self.conv2(fused), fused


class JoinedMaps(nn.Sequential):
    """A classifier on the concatenated channels of several maps of one width."""

    def __init__(self, maps: int, width: int, classes: int):
        convolve = nn.Conv2d(maps * width, width, 1, bias=False)
        super().__init__(convolve, nn.BatchNorm2d(width), nn.ReLU(), Pool(), nn.Linear(width, classes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """[B, D, H, W] or [B, N, D] each -> [B, C]."""
        logits: Tensor = super().forward(torch.cat([as_map(each) for each in features], dim=1))  # type: ignore[no-untyped-call]
        return logits


class JoinedEmbeddings(nn.Linear):
    """A linear classifier on several concatenated embeddings of one width."""

    def __init__(self, embeddings: int, width: int, classes: int):
        super().__init__(embeddings * width, classes)

    def forward(self, embeddings: Sequence[Tensor]) -> Tensor:  # type: ignore[override]  # several, not one
        """[B, D] each -> [B, C]."""
        return super().forward(torch.cat(list(embeddings), dim=1))
