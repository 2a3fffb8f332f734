"""One paper, one file; the registry of them all."""

from selfdistill.expression import parse
from selfdistill.method import Method
from selfdistill.methods.ce import ce
from selfdistill.methods.csd import csd
from selfdistill.methods.drg import drg
from selfdistill.methods.dsr import dsr
from selfdistill.methods.kd import kd
from selfdistill.methods.label_smoothing import label_smoothing
from selfdistill.methods.lightskd import lightskd
from selfdistill.methods.mixup import mixup
from selfdistill.methods.scd import scd
from selfdistill.methods.stkd import stkd

REGISTRY = {make.__name__: make for make in (ce, label_smoothing, mixup, kd, scd, drg, dsr, lightskd, stkd, csd)}


def method(text: str | Method) -> Method:
    """The method that an expression names: `"drg(alpha=0.2) + dsr()"`. A `Method` comes back as it is."""
    return text if isinstance(text, Method) else parse(text, REGISTRY)


__all__ = ["REGISTRY", "method", *REGISTRY]
