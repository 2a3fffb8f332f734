"""What was trained, folded into the student's own classifier."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


@torch.no_grad()
def fold(student: nn.Module, classifier: str, change: Callable[[Tensor], Tensor]) -> None:
    """Change the classifier's weight, shown as [C, D], and take its bias away; the classifier is at this path."""
    module = student.get_submodule(classifier)
    weight = module.get_parameter("weight")
    weight.copy_(change(weight.flatten(1)).view_as(weight))
    if isinstance(module.bias, Tensor):
        module.bias.zero_()
