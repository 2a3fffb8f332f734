"""Methods, one paper per file, and their registry by name."""

from collections.abc import Collection
from importlib import import_module

from selfdistill.method import Method
from selfdistill.method.constructor import Constructor
from selfdistill.method.expression import parse, parse_stored

NAMES = (
    *("ce", "label_smoothing", "focal", "max_entropy", "virtual_softmax", "adacos", "maxsup"),
    *("mixup", "cutmix", "cutout", "ema"),
    *("scd", "drg", "dsr", "lightskd", "stkd", "csd"),
    *("sad", "byot", "dks", "frskd", "uskd", "ps_kd", "tf_kd", "born_again"),
    *("ols", "zipf_ls", "elr", "proselflc", "sd_dropout", "r_drop", "cosub", "eed", "loth", "dtskd"),
    *("cs_kd", "ddgsd", "dlb", "bake", "mixskd", "sla", "sla_sd", "patch_swap", "aca", "corsd"),
    *("one", "okddip", "pcl", "dml", "kdcl", "codistillation"),
    *("kd", "dot", "fitnet", "at", "sp", "rkd", "pkt", "nst", "cc", "vid", "crd", "review_kd", "sskd"),
    *("ckd", "pkt_h", "fsp", "embed_distill", "afd", "less_forget", "mhkd", "srrl", "simkd", "semckd"),
    *("mlkd", "cswt", "pckd"),
    *("structured_kd", "icsd", "pals"),
)
REGISTRY: dict[str, Constructor] = {name: getattr(import_module(f"selfdistill.methods.{name}"), name) for name in NAMES}


def parse_method(text: str | Method) -> Method:
    """Parse the user's own expression such as `"drg(alpha=0.2) + dsr()"`; a `Method` is returned unchanged.

    Raises `UserError` where the text is no sum of calls, a name is unknown or an argument does not fit.

    >>> from selfdistill.methods import parse_method
    >>> print(sorted(parse_method("drg(alpha=0.2) + dsr()").terms))
    ['guidance', 'shape']
    """
    return text if isinstance(text, Method) else parse(text, REGISTRY)


def parse_stored_method(text: str, modules: Collection[str] = ()) -> Method:
    """Parse the method expression of a record; the only modules imported for it are those that the user names.

    Raises `UserError` as `parse_method`, and for a method of any other module.

    >>> from selfdistill.methods import parse_stored_method
    >>> parse_stored_method("drg() + dsr()").text
    'drg() + dsr()'
    """
    return parse_stored(text, REGISTRY, modules)


globals().update(REGISTRY)
__all__ = ["REGISTRY", "parse_method", "parse_stored_method", *REGISTRY]
