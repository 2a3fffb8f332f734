"""Pixel-Wise Adaptive Label Smoothing via Self-Knowledge Distillation (https://doi.org/10.3390/s22072623)."""

from torch import Size

from selfdistill.functional import adaptive_avg_pool, as_map, soft_label_of_neighbors
from selfdistill.method import Method
from selfdistill.method.constructor import Part, Positive, method_constructor
from selfdistill.terms import CLASSIFIED, LossValue, StepContext
from selfdistill.terms.class_maps import ClassMaps

MOST = 1024  # positions of an image that are compared with one another


class NeighborLabels(ClassMaps):
    """Each position's soft label is the mean prediction of positions with alike features."""

    taps = (CLASSIFIED,)

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.weight = temperature, weight

    def loss(self, context: StepContext) -> LossValue:
        """Compute the cross-entropy with the soft labels, over a grid of the last stage's size at most."""
        stage = as_map(context.features[CLASSIFIED]).detach()
        size = grid_of(stage.shape)
        logits, features = (
            adaptive_avg_pool(each, size).flatten(2) for each in (as_map(self.own_maps(context)), stage)
        )
        return soft_label_of_neighbors(logits, features, self.known(context, size), self.temperature)


def grid_of(shape: Size) -> list[int]:
    """Return the sides of a grid of at most `MOST` positions, 32 by 32, for maps of a shape [B, D, *sides]."""
    sides = shape[2:]
    most = int(MOST ** (1 / max(1, sum(side > 1 for side in sides))) + 1e-6)
    return [min(side, most) for side in sides]


@method_constructor
def pals(alpha: Part = 0.1, temperature: Positive = 0.1) -> Method:
    """(1 - alpha) · cross-entropy, plus alpha · that with the predictions of alike pixels (Park et al., 2022).

    >>> from selfdistill.methods import pals
    >>> print(pals(alpha=0.2).weights)
    {'task': 0.8, 'neighbors': 0.2}
    """
    return Method({"neighbors": NeighborLabels(temperature, alpha)}, task_weight=1.0 - alpha)
