"""Logits in a model's output."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from selfdistill.errors import UserError

LogitsKey = int | str | Callable[[Any], Tensor]  # position, key or attribute, or a function of the output


def logits_of(output: object, key: LogitsKey | None = None) -> Tensor:
    """Return the logits [B, C] in a model's output: a tensor, `.logits`, `["logits"]`, or the matrix of a tuple.

    Maps of logits [B, C, H, W] are a tensor, `.logits`, `["logits"]`, or `["out"]` as in torchvision; logits of tokens
    [B, N, C] are a tensor, `.logits`, `["logits"]` or the first tensor of a tuple.

    `key` selects them explicitly: a position, a key or attribute, or a function of the output. Raises `UserError` for
    an output without logits, or a tuple with matrices of several shapes.

    >>> import torch
    >>> logits_of((torch.zeros(8, 16), torch.zeros(8, 10)), key=1).shape
    torch.Size([8, 10])
    """
    if key is not None:
        return _named(output, key)
    if isinstance(output, Tensor):
        return output
    # the compiler does not look up attributes of a mapping
    found = output.get("logits", output.get("out")) if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(found, Tensor):
        return found
    if isinstance(output, tuple | list) and output:
        return _of_sequence(output)
    raise UserError(
        f"the model returned a {type(output).__name__}; it should return logits [B, C], or an object, "
        "dict or tuple that holds them (.logits, ['logits'], or first)"
    )


def named_tensors(output: object) -> dict[str, Tensor]:
    """List the tensors in a model's output by key, field or position, such as "aux" or "1.0".

    >>> import torch
    >>> sorted(named_tensors({"out": torch.zeros(2), "aux": [torch.zeros(2), torch.zeros(2)]}))
    ['aux.0', 'aux.1', 'out']
    """
    is_structure = isinstance(output, Tensor | Mapping | tuple | list)
    return dict(_named_tensors(output if is_structure else getattr(output, "__dict__", {})))


def _named_tensors(structure: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(structure, Tensor):
        yield name, structure
    for key, value in _items(structure):
        yield from _named_tensors(value, f"{name}.{key}" if name else str(key))


def _items(structure: object) -> list[tuple[object, object]]:
    if isinstance(structure, Mapping):
        return [*structure.items()]
    if isinstance(structure, tuple | list):
        return [*zip(getattr(structure, "_fields", range(len(structure))), structure, strict=True)]
    return []


def _of_sequence(output: Sequence[object]) -> Tensor:
    """Return the first matrix; raise `UserError` if there are matrices of other shapes."""
    tensors = {k: each for k, each in enumerate(output) if isinstance(each, Tensor)}
    matrices = {k: each for k, each in tensors.items() if each.dim() == 2}
    maps_first = 0 in tensors and tensors[0].dim() == 4  # of pixels, beside a vector of the image
    if len({each.shape for each in matrices.values()}) > 1 or (maps_first and matrices):
        shapes = ", ".join(f"output={k} {[*each.shape]}" for k, each in tensors.items() if each.dim() in (2, 4))
        raise UserError(
            f"the model returned a {type(output).__name__} of several tensors that may be logits; name them: {shapes}"
        )
    return next(iter(matrices.values())) if matrices else logits_of(output[0])


def _named(output: object, key: LogitsKey) -> Tensor:
    if callable(key):
        return key(output)
    try:
        found = getattr(output, key) if isinstance(key, str) and hasattr(output, key) else output[key]  # type: ignore[index]
    except (IndexError, KeyError, TypeError) as error:
        raise UserError(
            f"the model's output, a {type(output).__name__}, has no {key!r}; output= must name its logits"
        ) from error
    if isinstance(found, Tensor):
        return found
    raise UserError(f"output={key!r} is a {type(found).__name__}, not logits [B, C]")
