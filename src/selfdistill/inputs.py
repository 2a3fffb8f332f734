"""Inputs of a model: a tensor, a tuple of arguments, or a mapping of keywords; each tensor has one row per example."""

import copy
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import TypeAlias, TypeVar, cast

import torch
from torch import Tensor, nn

from selfdistill.errors import UserError

Inputs: TypeAlias = Tensor | Sequence["Inputs"] | Mapping[str, "Inputs"]
Structure = TypeVar("Structure")


def call_model(model: nn.Module, inputs: Inputs) -> object:
    """Call a model: a tensor is its argument, a tuple its arguments, a mapping its keywords."""
    if isinstance(inputs, Tensor):
        return model(inputs)
    return model(**inputs) if isinstance(inputs, Mapping) else model(*inputs)


def tensors(structure: object) -> list[Tensor]:
    """List the tensors of nested tuples, lists and mappings, in order."""
    if isinstance(structure, Tensor):
        return [structure]
    if isinstance(structure, Mapping):
        structure = [*structure.values()]
    return [found for each in structure for found in tensors(each)] if isinstance(structure, tuple | list) else []


def map_tensors(function: Callable[[Tensor], Tensor], structure: Structure) -> Structure:
    """Apply a function to each tensor; the structure and its types stay, other values pass unchanged."""
    return cast(Structure, _mapped(function, structure))


def _mapped(function: Callable[[Tensor], Tensor], structure: object) -> object:
    if isinstance(structure, Tensor):
        return function(structure)
    if isinstance(structure, Mapping):
        changed = {key: _mapped(function, value) for key, value in structure.items()}
        if not isinstance(structure, MutableMapping):
            return changed
        copied = copy.copy(structure)  # keeps its class, such as a tokenizer's BatchEncoding
        for key, value in changed.items():
            copied[key] = value
        return copied
    if isinstance(structure, tuple | list):
        values = [_mapped(function, each) for each in structure]
        make: Callable[..., object] = type(structure)
        return make(*values) if hasattr(structure, "_fields") else make(values)
    return structure


def num_rows(inputs: Inputs) -> int:
    """Return the number of examples B."""
    return len(tensors(inputs)[0])


def device_of(inputs: Inputs) -> torch.device:
    """Return the device of the first tensor."""
    return tensors(inputs)[0].device


def to_device(inputs: Structure, device: torch.device | str) -> Structure:
    """Move the inputs to a device."""
    return map_tensors(lambda each: each.to(device), inputs)


def concatenate_rows(parts: Sequence[Inputs]) -> Inputs:
    """Concatenate the rows of inputs of one structure; mappings may have their keys in any order.

    Raises `UserError` for inputs of several structures, or of shapes that differ beyond the rows.
    """
    first, *others = parts
    if not others:
        return first
    columns = [tensors(first), *(tensors(_ordered_like(first, each)) for each in others)]
    shapes = {tuple(each.shape[1:] for each in column) for column in columns}
    if len(shapes) > 1:
        found = " and ".join(map(describe, parts))
        raise UserError(f"passes that run together need inputs of one shape, but these are {found}")
    joined = iter([torch.cat(each) for each in zip(*columns, strict=True)])
    return map_tensors(lambda _: next(joined), first)


def _ordered_like(first: Inputs, other: Inputs) -> Inputs:
    """Return a mapping with its keys in the order of another; other inputs pass unchanged."""
    if isinstance(first, Mapping) and isinstance(other, Mapping) and first.keys() == other.keys():
        return {key: other[key] for key in first}
    return other


def floats_to(inputs: Inputs, like: Tensor) -> Inputs:
    """Move inputs to a tensor's device, and floats to its dtype; integers keep their own."""
    return map_tensors(lambda each: each.to(like) if each.is_floating_point() else each.to(like.device), inputs)


def only_tensor(inputs: Inputs) -> Tensor:
    """Return inputs that are one tensor, such as images. Raises `UserError` for a tuple or a mapping."""
    if isinstance(inputs, Tensor):
        return inputs
    raise UserError(f"one tensor is needed here, but the inputs are {describe(inputs)}")


def positional_tensor(inputs: Inputs, reason: str, dims: int = 2) -> Tensor:
    """Return the only float tensor [B, C, ...] with `dims` or more dimensions of positions, such as the images.

    Raises `UserError` that starts with the reason if there is none, or more than one.
    """
    found = [each for each in tensors(inputs) if each.is_floating_point() and each.dim() >= 2 + dims]
    are_tokens = isinstance(inputs, Mapping) and inputs.keys() & {"attention_mask", "inputs_embeds"}
    if len(found) == 1 and not are_tokens:
        return found[0]
    wanted = "float images [B, C, H, W]" if dims == 2 else "one float tensor [B, C, ...]"
    raise UserError(f"{reason} {wanted}, but the inputs are {describe(inputs)}; use another method")


def replace_tensor(inputs: Inputs, old: Tensor, new: Tensor) -> Inputs:
    """Return the inputs with one tensor replaced."""
    return map_tensors(lambda each: new if each is old else each, inputs)


def describe(inputs: object) -> str:
    """Describe dtypes and shapes for an error, as in "input_ids int64 [8, 32], attention_mask int64 [8, 32]"."""
    if isinstance(inputs, Tensor):
        return f"{str(inputs.dtype).removeprefix('torch.')} {[*inputs.shape]}"
    if isinstance(inputs, Mapping):
        return ", ".join(f"{key} {describe(value)}" for key, value in inputs.items()) or "an empty mapping"
    if isinstance(inputs, tuple | list):
        return ", ".join(map(describe, inputs)) or "an empty tuple"
    return f"a {type(inputs).__name__}"


def token_mask(inputs: Inputs) -> Tensor | None:
    """Return `attention_mask` [B, N], 1 for tokens and 0 for padding, as tokenizers of transformers return it."""
    mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
    return mask if isinstance(mask, Tensor) and mask.dim() == 2 else None
