"""Exponential moving average of the weights (https://arxiv.org/abs/2411.18704)."""

from selfdistill.method import Method
from selfdistill.method.constructor import Share, method_constructor
from selfdistill.method.networks import EMATeacher


@method_constructor
def ema(decay: Share = 0.999) -> Method:
    """An average of the student's weights is deployed in its place; training is as it was."""
    return Method(networks={"average": EMATeacher(decay=decay)}, export_role="average")
