"""Live on the Hump: Self Knowledge Distillation via Virtual Teachers (https://doi.org/10.1145/3664647.3681587)."""

import torch

from selfdistill.errors import UserError
from selfdistill.functional import kl_through_teacher, sum_tensors
from selfdistill.heads import JoinedMaps
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, Power, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.branches import StageBranches


class VirtualTeacher(LossTerm):
    """A classifier on the joined maps of all exits teaches each exit, and learns from their mean."""

    taps, min_stages, uses_labels = ("stages",), 2, True

    def __init__(self, alpha: float, temperature: float, epsilon: float):
        super().__init__()
        self.alpha, self.temperature, self.epsilon = alpha, temperature, epsilon

    def build(self, context: BuildContext) -> None:
        """Make a branch behind every stage but the last, and the fusion; check the weights of the labels."""
        self.branches = StageBranches(context)
        exits, shape = len(self.branches) + 1, context.shapes[self.branches.last]
        self.join = JoinedMaps(exits, shape, context.classes)
        self.shares = [self.alpha ** (exits - k) for k in range(exits)]
        if self.shares[0] > 2:
            raise UserError(
                f"loth(alpha={self.alpha:g}): with {exits} exits the first one's label weight, 2 - alpha^{exits}, is "
                f"below 0; pass alpha={int(1000 * 2 ** (1 / exits)) / 1000} or less"
            )

    def loss(self, context: StepContext) -> LossValue:
        """Compute CE of the fusion and (2 - share) CE of exits; KL of the fusion to their mean, share · KL of each."""
        logits, maps = self.branches(context.anchor)
        exits = [*map(context.rows.logits, logits[:-1]), context.logits]
        fused = context.rows.logits(self.join(maps))
        labels = zip(self.shares[:-1], exits[:-1], strict=True)  # the last one's is the task
        learn = context.cross_entropy(fused) + sum_tensors((2 - a) * context.cross_entropy(z) for a, z in labels)
        each = sum_tensors(a * self.imitate(z, fused) for a, z in zip(self.shares, exits, strict=True))
        return {"learn": learn, "mimic": self.imitate(fused, torch.stack(exits).mean(dim=0)) + each}

    def imitate(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compute T² KL to a target without gradient. [B, C], [B, C] -> []."""
        return kl_through_teacher(logits, target.detach(), self.temperature, self.epsilon)


@method_constructor
def loth(alpha: Power = 1.15, temperature: Positive = 3.0, epsilon: NonNegative = 0.0) -> Method:
    """Exits and a fusion of their maps that teach each other (ACM MM 2024); `alpha` weighs shallow exits.

    >>> from selfdistill.methods import loth
    >>> print(loth(alpha=1.1).text)
    loth(alpha=1.1)
    """
    return Method({"hump": VirtualTeacher(alpha, temperature, epsilon)}, task_weight=max(2.0 - alpha, 0.0))
