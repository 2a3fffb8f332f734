"""Projections of an embedding in front of two classifiers, whose weights are centers of the categories."""

from torch import Tensor, nn

from selfdistill.functional import Affine, category_contrast, direction_gap
from selfdistill.heads.projection import UnitLinear


class CategoryHeads(nn.Module):
    """Unit projections for a classifier of width `own` and one of width `theirs`, and a network to the other width."""

    def __init__(self, own: int, theirs: int):
        super().__init__()
        self.own, self.theirs = UnitLinear(own, own), UnitLinear(own, theirs)
        layers = nn.Linear(own, 16 * theirs), nn.BatchNorm1d(16 * theirs), nn.ReLU(), nn.Linear(16 * theirs, theirs)
        self.align = nn.Sequential(*layers)

    def forward(
        self, rows: Tensor, known: Tensor, own: Affine, other: Affine, labels: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Contrast by class the scores under both classifiers, without biases; compare directions with the known rows.

        [R, D], [R, E], [R] -> [R] and [].
        """
        scores = self.own(rows) @ own.weight.T, self.theirs(rows) @ other.weight.T
        return category_contrast(*scores, labels, temperature), direction_gap(self.align(rows), known)
