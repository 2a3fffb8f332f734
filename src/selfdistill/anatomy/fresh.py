"""Networks drawn anew: the same architecture, other weights."""

from torch import nn


def redraw(network: nn.Module) -> nn.Module:
    """Draw the parameters of every layer that knows how; others (a position embedding) stay copies.

    The draws are torch's: put a random stream around the call.
    """
    for module in network.modules():
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if callable(reset):
            reset()
    return network
