"""Feature losses of early exits against the final exit."""

from torch import Tensor, nn

from selfdistill.functional import EPS
from selfdistill.terms import ModelOutputs


class Hints(nn.Module):
    """Mean squared error of each exit's embedding against the final one, summed over exits."""

    def __init__(self, exits: int, width: int, last: str):
        super().__init__()
        self.last = last

    def forward(self, shallow: list[ModelOutputs], final: ModelOutputs) -> Tensor:
        """Sum over exits, shallow to deep; no gradient to the final feature. -> []."""
        target = self.feature(final).detach()
        residuals = [(self.feature(each) - target).square().mean() for each in shallow]
        return sum(residuals, start=target.new_zeros(()))

    def feature(self, outputs: ModelOutputs) -> Tensor:
        """Return the compared feature: the embedding [B, D]."""
        return outputs.embedding


class MapHints(Hints):
    """Hints on the last stage's maps, before pooling."""

    def feature(self, outputs: ModelOutputs) -> Tensor:
        """Return the last stage's features [B, D, *sides], [B, N, D] or [B, D]."""
        return outputs.features[self.last]


class AdaptedHints(Hints):
    """L2 distance of each exit's embedding, after a linear layer, to the final one; the deepest exit has none."""

    def __init__(self, exits: int, width: int, last: str):
        super().__init__(exits, width, last)
        self.adapt = nn.ModuleList(nn.Linear(width, width) for _ in range(exits - 1))

    def forward(self, shallow: list[ModelOutputs], final: ModelOutputs) -> Tensor:
        """Sum over all exits but the deepest. -> []."""
        target = self.feature(final).detach()
        residuals = [layer(self.feature(each)) - target for layer, each in zip(self.adapt, shallow[:-1], strict=True)]
        return sum([(residual.square().sum() + EPS**2).sqrt() for residual in residuals], start=target.new_zeros(()))


def make_hints(form: str, exits: int, width: int, last: str) -> Hints:
    """Make hints by variant: "paper", "maps" (Self-KD-Lib) or "journal" (the first author's later code)."""
    return {"paper": Hints, "maps": MapHints, "journal": AdaptedHints}[form](exits, width, last)
