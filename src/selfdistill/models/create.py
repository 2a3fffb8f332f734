"""A model by its name."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from torch import nn

from selfdistill.errors import UserError
from selfdistill.models import mobilenetv2, resnet, shufflenetv2, vgg
from selfdistill.models.weights import load_weights
from selfdistill.models.wrn import wrn

NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    **resnet.NETWORKS,
    **vgg.NETWORKS,
    **mobilenetv2.NETWORKS,
    **shufflenetv2.NETWORKS,
}
WIDE = ("wrn-16-2", "wrn-16-4", "wrn-28-10", "wrn-40-2", "wrn-40-4")  # examples: any wrn-D-W of depth 6n + 4


def names() -> list[str]:
    """The names of the library's own networks; others are timm/NAME and torchvision/NAME."""
    return [*NETWORKS, *WIDE]


def create(
    name: str, classes: int, *, size: int = 32, pretrained: bool = False, weights: str | Path | None = None
) -> nn.Module:
    """Make a model for images [B, 3, size, size] and so many classes.

    `name` is one of `names()`, timm/NAME or torchvision/NAME. `pretrained` takes the library's own
    weights with a new head, `weights` those of a file. Raises `UserError` for a name that is unknown, a
    size that does not fit, or weights that cannot be had.
    """
    model = _make(name, classes, size, pretrained)
    return model if weights is None else load_weights(model, weights)


def _make(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    library, _, rest = name.partition("/")
    if rest and library in ("timm", "torchvision"):
        from selfdistill.models import zoo

        make = zoo.timm_model if library == "timm" else zoo.torchvision_model
        return make(rest, classes, size, pretrained)
    if pretrained:
        raise UserError(f"{name} has no weights to download; pass weights from a file, or take timm/… or torchvision/…")
    if name.startswith("wrn-"):
        return wrn(name, classes)
    if name not in NETWORKS:
        near = get_close_matches(name, names(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}"
        raise UserError(f"there is no model {name!r}; {hint} Others are written timm/NAME and torchvision/NAME")
    return NETWORKS[name](classes)
