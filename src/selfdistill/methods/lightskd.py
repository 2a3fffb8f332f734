"""LightSKD: reverse guidance and shape-wise regularization together (https://arxiv.org/abs/2305.09183)."""

from typing import Literal

from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.methods.drg import drg
from selfdistill.methods.dsr import dsr


@method_constructor
def lightskd(
    tap: str = "stage2",
    alpha: NonNegative = 0.2,
    beta: NonNegative = 1.0,
    temperature: Positive = 4.0,
    head: Literal["light", "gated"] = "light",
    forget: Literal["epoch", "never"] = "epoch",
) -> Method:
    """Both parts of LightSKD at the paper's weights: `drg() + dsr()` (Wang et al., 2023, arXiv:2305.09183).

    >>> from selfdistill.methods import lightskd
    >>> print(sorted(lightskd(beta=0.5).terms))
    ['guidance', 'shape']
    """
    return drg(tap, alpha, temperature, head) + dsr(beta, temperature, forget)
