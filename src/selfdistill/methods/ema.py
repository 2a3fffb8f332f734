"""Exponential moving average of the weights (https://arxiv.org/abs/2411.18704)."""

from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor
from selfdistill.method.networks import EMATeacher


@method_constructor
def ema(decay: Share = 0.999) -> Method:
    """An EMA of the student's weights, exported in its place (Morales-Brotons et al., 2024, arXiv:2411.18704).

    Training itself does not change; `decay` applies per step.

    >>> from selfdistill.methods import ema
    >>> print(ema(decay=0.99).export_role)
    average
    """
    return Method(networks={"average": EMATeacher(decay=decay)}, export_role="average")
