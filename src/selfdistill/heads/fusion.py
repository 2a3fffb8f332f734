"""Fusion of features from several sources, and classifiers on them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Size, Tensor, nn

from selfdistill.functional import as_map, channels
from selfdistill.heads.classifier import GlobalPool
from selfdistill.heads.layers import layers_for


class AttentiveFusion(nn.Module):
    """Attention-based fusion of one level's features with the deeper level's residual.

    Chen et al., 2021 (https://arxiv.org/abs/2104.09044). The deepest level has no `fuse` and so no attention.
    `ndim` is the number of dimensions: 4 of maps, 5 of volumes.
    """

    def __init__(self, width: int, middle: int, out: int, fuse: bool, ndim: int = 4):
        super().__init__()
        layers = layers_for(ndim)
        self.conv1 = nn.Sequential(layers.conv(width, middle, 1, bias=False), layers.batch_norm(middle))
        self.conv2 = nn.Sequential(layers.conv(middle, out, 3, padding=1, bias=False), layers.batch_norm(out))
        self.att_conv = nn.Sequential(layers.conv(2 * middle, 2, 1), nn.Sigmoid()) if fuse else None

    def forward(self, own: Tensor, deeper: Tensor | None, size: Size) -> tuple[Tensor, Tensor]:
        """Return a prediction of the teacher's map [B, E, *size] and the residual for the next level [B, M, *size]."""
        fused = self.conv1(own)
        if self.att_conv is not None and deeper is not None:
            deeper = F.interpolate(deeper, fused.shape[2:])
            gates = self.att_conv(torch.cat([fused, deeper], dim=1))
            fused = fused * gates[:, :1] + deeper * gates[:, 1:]
        fused = F.interpolate(fused, size)
        return self.conv2(fused), fused


def attentive_fusions(shapes: Sequence[tuple[Size, Size]], middle: int) -> nn.ModuleList:
    """Make a fusion for each level's pair of shapes, the student's and the teacher's, shallow to deep.

    Residuals are `middle` channels wide, or as wide as the deepest level of the student.
    """
    ndim = max(min(len(own), len(theirs)) for own, theirs in shapes)  # two kinds are compared as columns
    middle, last = min(middle, channels(shapes[-1][0])), len(shapes) - 1
    return nn.ModuleList(
        AttentiveFusion(channels(own), middle, channels(theirs), k < last, ndim)
        for k, (own, theirs) in enumerate(shapes)
    )


class JoinedMaps(nn.Sequential):
    """A classifier on the concatenated channels of several features of one shape."""

    def __init__(self, maps: int, shape: Size, classes: int):
        layers, width = layers_for(len(shape)), channels(shape)
        convolve = layers.conv(maps * width, width, 1, bias=False)
        super().__init__(convolve, layers.batch_norm(width), nn.ReLU(), GlobalPool(), nn.Linear(width, classes))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """[B, D, *sides], [B, N, D] or [B, D] each -> [B, C]."""
        logits: Tensor = super().forward(torch.cat([as_map(each) for each in features], dim=1))  # type: ignore[no-untyped-call]
        return logits


class JoinedEmbeddings(nn.Linear):
    """A linear classifier on several concatenated embeddings of one width."""

    def __init__(self, embeddings: int, width: int, classes: int):
        super().__init__(embeddings * width, classes)

    def forward(self, embeddings: Sequence[Tensor]) -> Tensor:  # type: ignore[override]  # several, not one
        """[B, D] each -> [B, C]."""
        return super().forward(torch.cat(list(embeddings), dim=1))
