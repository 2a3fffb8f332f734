"""Branches: reinitialized copies of the student's layers behind a tap."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from selfdistill.terms.pairs import stage_names
from selfdistill.terms.term import BuildContext, LossTerm, LossValue, ModelOutputs, StepContext


class BranchTerm(LossTerm):
    """Branches behind one tap of the student; their distillation weight ramps up over the first epochs."""

    uses_labels = True
    share: float = 1.0  # weight of the distillation

    def __init__(self, tap: str, branches: int, temperature: float, ramp: float):
        super().__init__()
        self.taps, self.count, self.temperature = (tap,), branches, temperature
        self.ramp_epochs, self.uses_progress = ramp, ramp > 0

    def make_branches(self, context: BuildContext) -> nn.ModuleList:
        """Make `count` branches."""
        return nn.ModuleList(context.branch(self.taps[0]) for _ in range(self.count))

    def run_branches(
        self, branches: Iterable[nn.Module], views: Iterable[str], context: StepContext
    ) -> list[ModelOutputs]:
        """Run each branch on the pass of a name."""
        return [context.as_rows(branch(context.views[name])) for branch, name in zip(branches, views, strict=True)]

    def loss(self, context: StepContext) -> LossValue:
        """Return the supervised part, and the distillation times its ramp and weight."""
        learn, mimic = self.parts(context)
        return {"learn": learn, "mimic": context.progress.sigmoid_ramp(self.ramp_epochs) * self.share * mimic}

    def parts(self, context: StepContext) -> tuple[Tensor, Tensor]:
        """Return the supervised part and the distillation. -> [], []."""
        raise NotImplementedError(f"{type(self).__name__} defines no parts")


class StageBranches(nn.ModuleList):
    """A branch from each stage but the last."""

    def __init__(self, context: BuildContext):
        *self.taps, self.last = stage_names(context.shapes)
        super().__init__(context.branch(tap) for tap in self.taps)

    def forward(self, student: ModelOutputs) -> tuple[list[Tensor], list[Tensor]]:
        """Return logits and last-stage maps of each branch, then of the student."""
        outputs = [branch(student) for branch in self]
        maps = [each.features[self.last] for each in outputs]
        return [*(each.logits for each in outputs), student.logits], [*maps, student.features[self.last]]


@torch.no_grad()
def merge_into_classifier(
    student: nn.Module, classifier: str, change: Callable[[Tensor], Tensor], bias: Tensor | None = None
) -> None:
    """Apply `change` to the weight [C, D] of the student's classifier at this path; write its bias [C], or zeros."""
    module = student.get_submodule(classifier)
    weight = module.get_parameter("weight")
    weight.copy_(change(weight.flatten(1)).view_as(weight))
    if isinstance(module.bias, Tensor):
        module.bias.zero_() if bias is None else module.bias.copy_(bias)
