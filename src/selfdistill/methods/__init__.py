"""One paper, one file; the registry of them all."""

from importlib import import_module

from selfdistill.expression import parse
from selfdistill.method import Method
from selfdistill.recipe import Constructor

NAMES = (
    *("ce", "label_smoothing", "mixup", "kd"),
    *("scd", "drg", "dsr", "lightskd", "stkd", "csd"),
    *("cs_kd", "ddgsd", "dlb", "bake", "sla", "sla_sd", "sskd", "frskd", "crd"),
)
REGISTRY: dict[str, Constructor] = {name: getattr(import_module(f"selfdistill.methods.{name}"), name) for name in NAMES}


def method(text: str | Method) -> Method:
    """The method that an expression names: `"drg(alpha=0.2) + dsr()"`. A `Method` comes back as it is."""
    return text if isinstance(text, Method) else parse(text, REGISTRY)


globals().update(REGISTRY)
__all__ = ["REGISTRY", "method", *REGISTRY]
