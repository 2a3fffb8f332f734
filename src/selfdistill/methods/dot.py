"""DOT: A Distillation-Oriented Trainer (https://arxiv.org/abs/2307.08436)."""

from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor


@method_constructor
def dot(gap: Share = 0.075) -> Method:
    """More momentum for the distillation gradient than for the task's; added to another method (Zhao et al., 2023).

    The two momenta are the optimizer's plus and minus `gap`.

    >>> from selfdistill.methods import dot, kd
    >>> print((kd() + dot(gap=0.05)).momentum_gap)
    0.05
    """
    return Method(momentum_gap=gap)
