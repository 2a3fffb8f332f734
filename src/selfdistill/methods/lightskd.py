"""LightSKD: reverse guidance and shape-wise regularisation together (https://arxiv.org/abs/2305.09183)."""

from typing import Literal

from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.methods.drg import drg
from selfdistill.methods.dsr import dsr


@method_constructor
def lightskd(
    tap: str = "stage2",
    alpha: NotNegative = 0.2,
    beta: NotNegative = 1.0,
    temperature: Positive = 4.0,
    head: Literal["light", "gated"] = "light",
    forget: Literal["epoch", "never"] = "epoch",
) -> Method:
    """Both parts of LightSKD at the paper's weights: `drg() + dsr()`."""
    return drg(tap, alpha, temperature, head) + dsr(beta, temperature, forget)
