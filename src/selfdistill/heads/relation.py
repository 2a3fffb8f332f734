"""Relations of two examples, from their features, and of a prediction and a class."""

from collections.abc import Sequence

import torch
from torch import Size, Tensor, nn

from selfdistill.functional import as_map, channels, running_class_sums
from selfdistill.heads.classifier import GlobalPool, HalvingPool
from selfdistill.heads.layers import layers_for


class PairHead(nn.Module):
    """A relation between 0 and 1, and a classifier, on the concatenated channels of two examples' features."""

    def __init__(self, shape: Size, classes: int):
        super().__init__()
        layers, width = layers_for(len(shape)), channels(shape)
        convolve = layers.conv(2 * width, width, 3, stride=2, padding=1, bias=False)
        self.embed = nn.Sequential(HalvingPool(), convolve, layers.batch_norm(width), nn.ReLU(), GlobalPool())
        self.relate = nn.Sequential(nn.Linear(width, 1), nn.Sigmoid())
        self.classify = nn.Linear(width, classes)

    def forward(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D, *sides], [B, N, D] or [B, D] twice -> relation [B, 1] and logits [B, C]."""
        embedding = self.embed(torch.cat([as_map(one), as_map(other)], dim=1))
        return self.relate(embedding), self.classify(embedding)


class PairHeads(nn.ModuleList):
    """A `PairHead` on each of several stages."""

    def __init__(self, shapes: Sequence[Size], classes: int):
        super().__init__(PairHead(shape, classes) for shape in shapes)

    def forward(self, one: Sequence[Tensor], other: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Features of two examples at each stage -> relations [B, 1] and logits [B, C] of each stage."""
        pairs = [head(*each) for head, *each in zip(self, one, other, strict=True)]
        return [relation for relation, _ in pairs], [logits for _, logits in pairs]


class ClassRelation(nn.Module):
    """A relation between 0 and 1 of a row's probabilities with the sums, or means, of the predictions of a class."""

    def __init__(self, classes: int, mean: bool = False):
        super().__init__()
        layers = nn.Linear(2 * classes, 1), nn.BatchNorm1d(1), nn.ReLU(), nn.Linear(1, 1), nn.Sigmoid()
        self.relate, self.mean = nn.Sequential(*layers), mean

    def forward(self, rows: Tensor, labels: Tensor, others: Tensor, sums: Tensor) -> Tensor:
        """Subtract the relation with another class from that with the own one. [R, C], [R], [R], [C, C] -> [R]."""
        each = [running_class_sums(sums, rows.detach(), labels, classes) for classes in (labels, others)]
        if self.mean:
            each = [one / one.sum(dim=1, keepdim=True) for one in each]
        pairs = torch.cat([torch.cat([rows, one], dim=1) for one in each])
        own, other = torch.chunk(self.relate(pairs)[:, 0], 2)
        return own - other
