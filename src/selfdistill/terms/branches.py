"""Branches: what follows a tap of the student, copied and drawn anew."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from selfdistill.terms.pairs import stages
from selfdistill.terms.term import BuildContext, LossTerm, LossValue, ModelOutputs, StepContext


class Branching(LossTerm):
    """Branches grow from one tap of the student, and what they imitate grows over the first epochs."""

    uses_labels = True
    share: float = 1.0  # of imitation

    def __init__(self, tap: str, branches: int, temperature: float, ramp: float):
        super().__init__()
        self.taps, self.count, self.temperature = (tap,), branches, temperature
        self.ramp, self.uses_progress = ramp, ramp > 0

    def grow(self, context: BuildContext) -> nn.ModuleList:
        """Make the branches."""
        return nn.ModuleList(context.tail(self.taps[0]) for _ in range(self.count))

    def branch_out(self, branches: nn.ModuleList, passes: Iterable[ModelOutputs]) -> list[ModelOutputs]:
        """What each branch shows of its own pass."""
        return [branch(each.features[self.taps[0]]) for branch, each in zip(branches, passes, strict=True)]

    def loss(self, context: StepContext) -> LossValue:
        """Both parts, the imitation as large as the ramp has it."""
        learn, mimic = self.both(context)
        return {"learn": learn, "mimic": context.progress.ramp_up(self.ramp) * self.share * mimic}

    def both(self, context: StepContext) -> tuple[Tensor, Tensor]:
        """What learns the labels, and what imitates. -> [], []."""
        raise NotImplementedError(f"{type(self).__name__} defines no parts")


class StageBranches(nn.ModuleList):
    """A branch from each stage but the last."""

    def __init__(self, context: BuildContext):
        *self.taps, self.last = stages(context.shapes)
        super().__init__(context.tail(tap) for tap in self.taps)

    def forward(self, student: ModelOutputs) -> tuple[list[Tensor], list[Tensor]]:
        """Logits and the last maps of each branch, and then of the student itself."""
        shown = [branch(student.features[tap]) for tap, branch in zip(self.taps, self, strict=True)]
        maps = [each.features[self.last] for each in shown]
        return [*(each.logits for each in shown), student.logits], [*maps, student.features[self.last]]


@torch.no_grad()
def merge_into_classifier(student: nn.Module, classifier: str, change: Callable[[Tensor], Tensor]) -> None:
    """Change the classifier's weight, shown as [C, D], and take its bias away; the classifier is at this path."""
    module = student.get_submodule(classifier)
    weight = module.get_parameter("weight")
    weight.copy_(change(weight.flatten(1)).view_as(weight))
    if isinstance(module.bias, Tensor):
        module.bias.zero_()
