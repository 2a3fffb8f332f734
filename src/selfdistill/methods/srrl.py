"""Knowledge Distillation via Softmax Regression Representation Learning (https://openreview.net/forum?id=ZzwDy_wiWv)."""

import torch.nn.functional as F
from torch import nn

from selfdistill.functional import as_map, channels
from selfdistill.heads.layers import layers_for
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import EMBEDDING


class SoftmaxRegression(LossTerm):
    """A map of the student's last stage is near to the teacher's embedding, and classified alike by its classifier."""

    taps, views = ("stage-1",), (EMBEDDING,)
    min_batch_size = 2  # for batch statistics

    def __init__(self, weight: float, regression: float):
        super().__init__()
        self.weight, self.regression = weight, regression

    def build(self, context: BuildContext) -> None:
        """Make a 1x1 convolution from the stage's channels to the teacher's."""
        shape, width = context.shapes[self.taps[0]], context.views["teacher"]["embedding"][-1]
        layers = layers_for(len(shape))
        convolve = layers.conv(channels(shape), width, 1, bias=False)
        self.connect = nn.Sequential(convolve, layers.batch_norm(width), nn.ReLU())

    def loss(self, context: StepContext) -> LossValue:
        """Compute mean (g - f_t)² + regression · mean (W_t g + b_t - z_t)²."""
        teacher = context.views["teacher"]
        guess = context.rows.pool(self.connect(as_map(context.features[self.taps[0]])))
        logits = context.rows.logits(context.classifiers["teacher"](guess))
        return F.mse_loss(guess, teacher.embedding) + self.regression * F.mse_loss(logits, teacher.logits)


@method_constructor
def srrl(teacher: str | None = None, weight: NonNegative = 1.0, regression: NonNegative = 1.0) -> Method:
    """A teacher's embedding, regressed and read by the teacher's own classifier (Yang et al., 2021).

    >>> from selfdistill.methods import srrl
    >>> print(srrl(regression=2.0).text)
    srrl(regression=2.0)
    """
    return Method(
        {"representation": SoftmaxRegression(weight, regression)}, networks={"teacher": teacher_role(teacher)}
    )
