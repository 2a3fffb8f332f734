"""Blocks of a network that FSDP gathers one at a time."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from torch import nn

from selfdistill.features.trace import trace_modules
from selfdistill.inputs import Inputs

MIN_SHARE, MAX_SHARE = 0.01, 0.25  # of a network's parameters: smaller blocks are not worth a gather, larger are split


def find_blocks(network: nn.Module, inputs: Inputs, excluded: str | None = None) -> list[nn.Module]:
    """Find the modules of a network to shard as units, in definition order; `inputs` are an example.

    A block is called in a pass and shares no parameter with other modules. No block contains the module at the path
    `excluded`; blocks need not cover the network.
    """
    called = {call.path for call in trace_modules(network, inputs)[1].calls}
    candidates = {path for path in called if not _inside(excluded, path)} - _with_shared_parameters(network)
    total = _size(network)
    sizes = {path: _size(network.get_submodule(path)) / total for path in candidates}
    return [network.get_submodule(path) for path in _split(network, "", sizes)]


def _split(module: nn.Module, path: str, sizes: Mapping[str, float]) -> Iterator[str]:
    """Split a module into the paths of blocks, by parameter count."""
    for name, child in module.named_children():
        child_path = f"{path}.{name}".lstrip(".")
        inner = list(_split(child, child_path, sizes))
        size = sizes.get(child_path, 0.0)
        fits = size >= MIN_SHARE and (size <= MAX_SHARE or not inner)
        yield from [child_path] if fits else inner


def _with_shared_parameters(network: nn.Module) -> set[str]:
    """Return the paths of modules that share a parameter with a module outside them."""
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
