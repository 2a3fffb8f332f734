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
        want = self.feature(final).detach()
        gaps = [(self.feature(each) - want).square().mean() for each in shallow]
        return sum(gaps, start=want.new_zeros(()))

    def feature(self, outputs: ModelOutputs) -> Tensor:
        """Return the compared feature: the embedding [B, D]."""
        return outputs.embedding


class MapHints(Hints):
    """Hints on the last stage's maps, before pooling."""

    def feature(self, outputs: ModelOutputs) -> Tensor:
        """Return the last stage's map [B, D, H, W] or tokens [B, N, D]."""
        return outputs.features[self.last]


class AdaptedHints(Hints):
    """Hints through a linear layer per exit, as the L2 norm of the batch's difference; none for the deepest exit."""

    def __init__(self, exits: int, width: int, last: str):
        super().__init__(exits, width, last)
        self.adapt = nn.ModuleList(nn.Linear(width, width) for _ in range(exits - 1))

    def forward(self, shallow: list[ModelOutputs], final: ModelOutputs) -> Tensor:
        """Sum over all exits but the deepest. -> []."""
        want = self.feature(final).detach()
        gaps = [layer(self.feature(each)) - want for layer, each in zip(self.adapt, shallow[:-1], strict=True)]
        return sum([(gap.square().sum() + EPS**2).sqrt() for gap in gaps], start=want.new_zeros(()))


def make_hints(form: str, exits: int, width: int, last: str) -> Hints:
    """Make the hints of a form: "paper", "maps" (Self-KD-Lib) or "journal" (the first author's later code)."""
    return {"paper": Hints, "maps": MapHints, "journal": AdaptedHints}[form](exits, width, last)
