"""Augmentation Component Analysis (https://arxiv.org/abs/2206.00471)."""

from typing import Literal

import torch

from selfdistill.data.requirements import PlainView, second_view
from selfdistill.functional import gap_to_mean, spectral_contrast
from selfdistill.heads import projection
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Plural, Positive, method_constructor
from selfdistill.terms import BuildContext, ForwardPass, LossTerm, LossValue, StepContext

HIDDEN = 1024  # units of the projection's hidden layer


class AugmentationComponents(LossTerm):
    """Projections of two views contrast with other images; that of the plain image is near to their mean."""

    requires = ("embedding",)
    min_batch_size, reduction, supports_mixup = 2, "batch", False
    uses_labels = True  # its contrast stays in a control, as labels do

    def __init__(self, weights: tuple[float, float, float], temperature: float, width: int, normalize: bool, view: str):
        super().__init__()
        self.weight, self.negatives, self.projection = weights
        self.temperature, self.width, self.normalize, self.view = temperature, width, normalize, view
        self.views = tuple(ForwardPass(name, grad=True, source=name, joint=True) for name in (view, "plain"))

    def build(self, context: BuildContext) -> None:
        """Make a projection of the embedding."""
        self.project = projection(context.shapes["embedding"][-1], HIDDEN, self.width)

    def loss(self, context: StepContext) -> LossValue:
        """Compute the spectral contrast of both views, and the plain image's gap to their mean."""
        embeddings = [context.embedding, *(context.views[name].embedding for name in (self.view, "plain"))]
        one, other, plain = self.project(torch.cat(embeddings)).chunk(3)
        contrast = spectral_contrast(one, other, self.temperature, self.negatives)
        return {"learn": contrast, "mimic": self.projection * gap_to_mean(plain, one, other, self.normalize)}


@method_constructor
def aca(
    weight: NonNegative = 1.0,
    negatives: NonNegative = 1.0,
    projection: NonNegative = 1.0,
    temperature: Positive = 0.5,
    width: Plural = 64,
    normalize: bool = False,
    view: Literal["twin", "strong"] = "twin",
) -> Method:
    """Spectral contrast of two views, and a plain image near to their mean (Han et al., 2023).

    >>> from selfdistill.methods import aca
    >>> print(aca(view="strong").text)
    aca(view='strong')
    """
    term = AugmentationComponents((weight, negatives, projection), temperature, width, normalize, view)
    return Method({"components": term}, needs={**second_view(view), "plain": PlainView()})
