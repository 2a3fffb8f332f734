"""Self-Knowledge Distillation via Dropout (https://arxiv.org/abs/2208.05642)."""

from selfdistill.functional import dropout_logits, kl_divergence, kl_through_teacher, uniform
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Part, Positive, method_constructor
from selfdistill.terms import LossTerm, LossValue, StepContext


class DropoutConsistency(LossTerm):
    """KL both ways between the predictions under two dropout masks of the embedding."""

    requires = ("embedding", "classifier_weight")
    uses_random = True

    def __init__(self, rate: float, temperature: float, detach: bool, weight: float):
        super().__init__()
        self.rate, self.temperature, self.weight = rate, temperature, weight
        self.divergence = kl_divergence if detach else kl_through_teacher

    def loss(self, context: StepContext) -> LossValue:
        """Compute T² KL(z2 || z1) + T² KL(z1 || z2)."""
        embedding = context.embedding
        keep = (uniform(context.progress.key, (2, *embedding.shape)) >= self.rate).to(embedding.dtype)
        args = context.logits, embedding, context.classifier_weight
        one, other = (dropout_logits(*args, each, self.rate) for each in keep.unbind())
        return self.divergence(one, other, self.temperature) + self.divergence(other, one, self.temperature)


@method_constructor
def sd_dropout(
    weight: NonNegative = 0.1, rate: Part = 0.5, temperature: Positive = 3.0, detach: bool = False
) -> Method:
    """Consistent predictions under two dropout masks of the embedding (Lee et al., 2022, arXiv:2208.05642).

    `detach` stops the gradient to the target of each KL; the published code passes it.

    >>> from selfdistill.methods import sd_dropout
    >>> print(sd_dropout(rate=0.3).text)
    sd_dropout(rate=0.3)
    """
    return Method({"dropout": DropoutConsistency(rate, temperature, detach, weight)})
