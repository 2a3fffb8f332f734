"""DOT: A Distillation-Oriented Trainer (https://arxiv.org/abs/2307.08436)."""

from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor


@method_constructor
def dot(gap: Share = 0.075) -> Method:
    """Give the gradient of what imitates more momentum than that of the task; it is added to any method."""
    return Method(momentum_gap=gap)
