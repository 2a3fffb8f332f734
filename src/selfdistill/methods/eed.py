"""Students are the Best Teacher: Exit-Ensemble Distillation with Multi-Exits (https://arxiv.org/abs/2104.00299)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.functional import active_mse, soft_cross_entropy, sum_tensors
from selfdistill.heads import ExitHead
from selfdistill.method import Method
from selfdistill.method.constructor import Positive, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import stage_names


class ExitEnsemble(LossTerm):
    """Exits along the depth, the final one among them, learn the labels and the mean of all exits."""

    taps, min_stages, requires, uses_labels = ("stages",), 2, ("embedding",), True

    def __init__(self, output: str, temperature: float, exits: str):
        super().__init__()
        self.output, self.temperature, self.tail = output, temperature, exits == "tail"

    def build(self, context: BuildContext) -> None:
        """Put an exit on every stage but the last."""
        (*self.tapped, _), width = stage_names(context.shapes), context.shapes["embedding"][-1]
        light = (ExitHead(context.shapes[tap], width, context.classes) for tap in self.tapped)
        self.heads = nn.ModuleList(map(context.branch, self.tapped) if self.tail else light)

    def loss(self, context: StepContext) -> LossValue:
        """Sum CE of the shallow exits; the distance of each exit's logits and feature from their means."""
        read = [(context.anchor,) if self.tail else (context.features[tap], context.rows.pool) for tap in self.tapped]
        exits = [context.as_rows(head(*each)) for head, each in zip(self.heads, read, strict=True)]
        outputs = [*exits, context.anchor]
        logits, features = [each.logits for each in outputs], [each.embedding for each in outputs]
        mean, center = (torch.stack(each).mean(dim=0).detach() for each in (logits, features))
        soft = sum_tensors(self.distance(each, mean) for each in logits)
        learn = sum_tensors(context.cross_entropy(each) for each in logits[:-1])
        return {"learn": learn, "mimic": soft + sum_tensors(active_mse(each, center) for each in features)}

    def distance(self, logits: Tensor, mean: Tensor) -> Tensor:
        """Compute the mean squared error, or 0.1 T² cross-entropy at temperature T. [B, C], [B, C] -> []."""
        if self.output == "mse":
            return F.mse_loss(logits, mean)
        return 0.1 * self.temperature**2 * soft_cross_entropy(logits, mean, self.temperature)


@method_constructor
def eed(
    output: Literal["mse", "kl"] = "mse", temperature: Positive = 3.0, exits: Literal["light", "tail"] = "light"
) -> Method:
    """Exits that learn from the mean of all exits, the final one too (Lee and Lee, 2021, arXiv:2104.00299).

    >>> from selfdistill.methods import eed
    >>> print(eed(output="kl").text)
    eed(output='kl')
    """
    return Method({"ensemble": ExitEnsemble(output, temperature, exits)})
