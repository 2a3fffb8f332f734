"""Loading of weights from files; a classifier with another number of classes is skipped."""

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from selfdistill.errors import UserError
from selfdistill.files import is_file

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
SHOWN = 3  # keys named in an error
WRAPPERS = re.compile(r"(?<![^.])(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
SCALAR = cast(Callable[..., Any], np.float64(0).__reduce__()[0])  # makes numpy's numbers, such as an accuracy
PLAIN: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    *(SCALAR, (SCALAR, "numpy.core.multiarray.scalar"), np.dtype),  # its name before numpy 2
    *(type(np.dtype(kind)) for kind in ("float16", "float32", "float64", "int32", "int64", "bool")),
    *(argparse.Namespace, type(Path())),
]  # types in checkpoints besides tensors that execute no code


def read(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file by their keys, those of entries as "entry.key".

    No code of a file is executed. Raises `UserError` if it holds no tensors by name.
    """
    if not is_file(path):
        raise UserError(f"there is no weights file {path}")
    if path.suffix not in SUFFIXES:
        kinds = f"{', '.join(SUFFIXES[:-1])} and {SUFFIXES[-1]}"
        raise UserError(f"weights are read from {kinds} files, not from {path}")
    try:
        found = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except OSError as error:
        raise UserError(f"cannot read the weights file {path}: {error.strerror or error}") from None
    except Exception as error:  # types differ by format and torch version
        raise UserError(f"{path} cannot be read: {_reason(error)} again, best as safetensors") from error
    tensors = dict(_flattened(found)) if isinstance(found, Mapping) else {}
    if not tensors:
        raise UserError(f"{path} holds no state dict; save model.state_dict()")
    return tensors


def _unpickled(path: Path) -> object:
    with torch.serialization.safe_globals(PLAIN):
        return torch.load(path, map_location="cpu", weights_only=True)


def _reason(error: Exception) -> str:
    kind = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
    if kind:
        return f"it holds a {kind[1]}, which may run code; load it where it was saved and save the model's state_dict()"
    return "it is damaged, or holds more than tensors; save the model's state_dict()"


def _flattened(entries: Mapping[object, object], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of nested dicts with their dotted keys."""
    for key, value in entries.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")


def fit(network: nn.Module, tensors: Mapping[str, Tensor], classes: int, source: str) -> None:
    """Load the tensors that belong to a network; a classifier with another number of classes keeps its new weights.

    The keys may have a prefix: a wrapper's ("module.", "_orig_mod."), or a file's entry ("net.", "state_dict.model.").
    Raises `UserError` if the weights belong to another network, or the file holds several that differ.
    """
    own = network.state_dict()
    tensors, prefix = _find(own, tensors, classes, source)
    state = _below(prefix, tensors)
    _require_no_faults(_lacks(own, state, classes) | _more(own, state), source, prefix)
    same = {key: value for key, value in state.items() if value.shape == own[key].shape}
    network.load_state_dict(same, strict=False)


def _find(
    own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], classes: int, source: str
) -> tuple[Mapping[str, Tensor], str]:
    """Find the prefix that all keys of a network have, in the file's keys or in those without wrappers.

    Without such a prefix it is that of most keys.
    """
    for keys in (tensors, _unwrapped(tensors)):
        counts = _prefixes(own, keys)
        whole = [each for each in counts if not any(_lacks(own, _below(each, keys), classes).values())]
        if whole:
            _require_same(own, keys, whole, source)
            return keys, whole[0]
    return tensors, max(counts, key=lambda each: (counts[each], not each), default="")


def _prefixes(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Counter[str]:
    """Count, for each prefix, the tensors whose key without the prefix is a key of the network."""
    counts: Counter[str] = Counter()
    for key in tensors:
        starts = [0, *(dot.end() for dot in re.finditer(r"\.", key))]
        counts.update(key[:start] for start in starts if key[start:] in own)
    return counts


def _unwrapped(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Drop the names of wrapped submodules from all keys, unless two keys would become one."""
    found = {WRAPPERS.sub("", key): value for key, value in tensors.items()}
    return found if len(found) == len(tensors) else tensors


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _lacks(own: Mapping[str, Tensor], state: Mapping[str, Tensor], classes: int = 0) -> dict[str, list[str]]:
    """Keys of a network without a tensor in the state, and with one of another shape or kind.

    A classifier with another number of classes is no fault where `classes` are given.
    """
    unlike = [key for key in own if key in state and own[key].shape != state[key].shape]
    return {
        "missing": [key for key in own if key not in state and not key.endswith("num_batches_tracked")],
        "of another shape": [key for key in unlike if not _differs_in_classes(own[key], state[key], classes)],
        "of another kind of number": [
            key for key in own if key in state and own[key].is_floating_point() != state[key].is_floating_point()
        ],
    }


def fit_exactly(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load the tensors of this network and of no other. Raises `UserError` with the keys that differ."""
    own = network.state_dict()
    _require_no_faults(_lacks(own, tensors) | _more(own, tensors), source)
    network.load_state_dict(dict(tensors), strict=False)


def _more(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    return {"unexpected": [key for key in state if key not in own]}


def _require_no_faults(faults: Mapping[str, list[str]], source: str, prefix: str = "") -> None:
    if found := [f"{fault}: {_key_list(prefix, keys)}" for fault, keys in faults.items() if keys]:
        raise UserError(f"{source} holds the weights of another network ({'; '.join(found)})")


def _differs_in_classes(own: Tensor, other: Tensor, classes: int) -> bool:
    return own.dim() > 0 and own.shape[0] == classes and own.shape[1:] == other.shape[1:]


def _require_same(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], prefixes: list[str], source: str) -> None:
    """Raise `UserError` if the weights below two prefixes differ."""
    first, *others = (_below(each, tensors) for each in prefixes)
    if any(key in state and not torch.equal(state[key], first[key]) for state in others for key in own if key in first):
        names = " and ".join(repr(each.rstrip(".")) if each else "the top" for each in prefixes)
        raise UserError(
            f"{source} holds several weights of this network that differ, under {names}; save the state dict that "
            "you want to a separate file"
        )


def _key_list(prefix: str, keys: list[str]) -> str:
    first, more = keys[:SHOWN], len(keys) - SHOWN
    return ", ".join(prefix + key for key in first) + (f" and {more} more" if more > 0 else "")
