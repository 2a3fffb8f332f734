"""Models of timm and torchvision by name, for images of the data's size and its classes."""

import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from torch import nn

from selfdistill.errors import UserError


def timm_model(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    """One of timm's models, told the image size where it wants to know."""
    import timm

    if name.split(".")[0] not in (known := timm.list_models()):
        raise _unknown("timm", name, known)
    try:
        return _quietly(lambda: timm.create_model(name, pretrained, num_classes=classes, img_size=size), name)
    except TypeError:
        return _quietly(lambda: timm.create_model(name, pretrained, num_classes=classes), name)


def torchvision_model(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    """One of torchvision's classifiers; pretrained ones get a new last layer."""
    from torchvision import models

    if name not in (known := models.list_models(models)):
        raise _unknown("torchvision", name, known)
    options: dict[str, Any] = {"image_size": size} if name.startswith("vit_") and not pretrained else {}
    if not pretrained:
        if name in ("googlenet", "inception_v3"):
            options |= {"aux_logits": False, "init_weights": False}
        return _quietly(lambda: models.get_model(name, num_classes=classes, **options), name)
    model = _quietly(lambda: models.get_model(name, weights="DEFAULT", **options), name)
    return with_new_head(model, classes)


def with_new_head(model: nn.Module, classes: int) -> nn.Module:
    """The model with its last linear layer, or 1x1 convolution, made anew for so many classes."""
    for path, module in reversed(list(model.named_modules())):
        if isinstance(module, nn.Linear):
            model.set_submodule(path, nn.Linear(module.in_features, classes, module.bias is not None))
            return model
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            model.set_submodule(path, nn.Conv2d(module.in_channels, classes, 1))
            return model
    raise UserError(f"{type(model).__name__} has no last layer to make anew for {classes} classes")


def _quietly(make: Callable[[], nn.Module], name: str) -> nn.Module:
    """Make a model; the libraries' deprecation notes are not the user's business, their errors are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return make()
        except TypeError:
            raise
        except Exception as error:  # both libraries raise many kinds: assertions, download and shape errors
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(f"cannot make {name}: {why}; try another --size, or weights from a file") from None


def _unknown(library: str, name: str, known: Sequence[str]) -> UserError:
    near = get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {len(known)} others"
    return UserError(f"{library} has no model {name!r}; {hint}")
