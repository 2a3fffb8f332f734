"""What the features of exits along the depth owe to the final ones."""

from torch import Tensor, nn

from selfdistill.functional import EPS
from selfdistill.terms import ModelOutputs


class Hints(nn.Module):
    """The embeddings of exits should be the final one: the sum of their mean squared gaps."""

    def __init__(self, exits: int, width: int, last: str):
        super().__init__()
        self.last = last

    def forward(self, shallow: list[ModelOutputs], final: ModelOutputs) -> Tensor:
        """The sum over exits, shallow to deep; no gradient to the final feature. -> []."""
        want = self.feature(final).detach()
        gaps = [(self.feature(each) - want).square().mean() for each in shallow]
        return sum(gaps, start=want.new_zeros(()))

    def feature(self, shown: ModelOutputs) -> Tensor:
        """What is compared: the embedding [B, D]."""
        return shown.embedding


class MapHints(Hints):
    """Hints on the last maps, before they are pooled."""

    def feature(self, shown: ModelOutputs) -> Tensor:
        """Give the last stage's map [B, D, H, W] or tokens."""
        return shown.features[self.last]


class AdaptedHints(Hints):
    """Hints through a linear layer each, as the norm of a whole batch's gap; none for the deepest exit."""

    def __init__(self, exits: int, width: int, last: str):
        super().__init__(exits, width, last)
        self.adapt = nn.ModuleList(nn.Linear(width, width) for _ in range(exits - 1))

    def forward(self, shallow: list[ModelOutputs], final: ModelOutputs) -> Tensor:
        """The sum over all exits but the deepest. -> []."""
        want = self.feature(final).detach()
        gaps = [layer(self.feature(each)) - want for layer, each in zip(self.adapt, shallow[:-1], strict=True)]
        return sum([(gap.square().sum() + EPS**2).sqrt() for gap in gaps], start=want.new_zeros(()))
