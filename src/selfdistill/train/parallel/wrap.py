"""Blocks of a network that FSDP gathers one at a time."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from selfdistill.features.trace import trace_modules

LEAST, MOST = 0.01, 0.25  # shares of a network's parameters: smaller is not worth an exchange, larger is cut further


def blocks(network: nn.Module, images: Tensor, spared: str | None = None) -> list[nn.Module]:
    """The modules to cut a network into, in the order they are defined; images [B, 3, H, W] as it will see them.

    A block is called in a pass, and no parameter in it belongs to something outside. The module at the path `spared`
    is in none, and whatever none holds is left over.
    """
    called = {call.path for call in trace_modules(network, images)[1].calls}
    free = {path for path in called if not _inside(spared, path)} - _sharing(network)
    whole = _size(network)
    sizes = {path: _size(network.get_submodule(path)) / whole for path in free}
    return [network.get_submodule(path) for path in _cut(network, "", sizes)]


def _cut(module: nn.Module, path: str, sizes: Mapping[str, float]) -> Iterator[str]:
    """The blocks inside a module."""
    for name, child in module.named_children():
        here = f"{path}.{name}".lstrip(".")
        inner = list(_cut(child, here, sizes))
        size = sizes.get(here, 0.0)
        fits = size >= LEAST and (size <= MOST or not inner)
        yield from [here] if fits else inner


def _sharing(network: nn.Module) -> set[str]:
    """The paths of modules that share a parameter with something outside them."""
    owners = defaultdict(list)
    for name, each in network.named_parameters(remove_duplicate=False):
        owners[each].append(name)
    shared = [names for names in owners.values() if len(names) > 1]
    return {path for path, _ in network.named_modules() if any(_divides(path, names) for names in shared)}


def _divides(path: str, names: list[str]) -> bool:
    inside = [_inside(name, path) for name in names]
    return any(inside) and not all(inside)


def _inside(path: str | None, around: str) -> bool:
    return path is not None and f"{path}.".startswith(f"{around}.")


def _size(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())
