"""Models of the user's own, named as module:callable."""

from torch import nn

from selfdistill.errors import UserError
from selfdistill.own_modules import current_folder_importable, import_own


def is_own(name: str) -> bool:
    """Return True for a name such as "my_package.models:tiny".

    >>> is_own("my_package.models:tiny"), is_own("resnet20")
    (True, False)
    """
    return ":" in name


def module_of(name: str) -> str | None:
    """Return the module of a user's own model, None for a name of this package.

    >>> module_of("my_package.models:tiny")
    'my_package.models'
    """
    return name.partition(":")[0] if is_own(name) else None


def from_module(name: str, classes: int) -> nn.Module:
    """Import module:callable and call it with the number of classes.

    Raises `UserError` if it cannot be imported or gives no `nn.Module`.
    """
    module, _, attribute = name.partition(":")
    try:
        build = getattr(import_own(module), attribute)
    except Exception as error:  # a module of the user's own may raise anything
        raise UserError(
            f"cannot import the model {name!r} ({type(error).__name__}: {error}); write MODULE:CALLABLE, and run "
            "the command in the folder of the module, or install it"
        ) from error
    if not callable(build):
        raise UserError(f"the model {name!r} is no callable; name a function or class that takes the number of classes")
    network = _called(build, name, classes)
    if not isinstance(network, nn.Module):
        kind = type(network).__name__
        raise UserError(f"the model {name!r} must give an nn.Module, but gives {kind}; return the network")
    return network


def _called(build: object, name: str, classes: int) -> object:
    try:
        with current_folder_importable():
            return build(classes)  # type: ignore[operator]  # checked by the caller
    except Exception as error:  # as above
        raise UserError(
            f"the model {name!r} fails when it is called with the number of classes ({type(error).__name__}: {error}); "
            "mend it"
        ) from error
