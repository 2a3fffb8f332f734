"""Loading of weights from files; a classifier with another number of classes is skipped."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from selfdistill.errors import UserError

SHOWN = 3  # keys named in an error


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict: safetensors, or a .pt or .pth file of tensors, alone or under "state_dict" or "model".

    No code of a file is executed. Raises `UserError` if it holds no state dict.
    """
    if not path.is_file():
        raise UserError(f"there is no weights file {path}")
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise UserError(f"weights are read from .safetensors, .pt and .pth files, not from {path}")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except Exception as error:  # types differ by format and torch version
        raise UserError(
            f"{path} cannot be read: it is damaged, or holds more than tensors; "
            "save the model's state_dict() again, best as safetensors"
        ) from error
    return _require_tensors(state, path)


def _unpickled(path: Path) -> object:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping):
        return state
    return state.get("state_dict", state.get("model", state))


def _require_tensors(state: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds no state dict; save model.state_dict()")
    return dict(state)


def fit(network: nn.Module, state: Mapping[str, Tensor], classes: int, source: str) -> None:
    """Load a state dict; a classifier with another number of classes keeps its new weights.

    Raises `UserError` with the keys if the weights belong to another network.
    """
    own = network.state_dict()
    unlike = [key for key in own if key in state and own[key].shape != state[key].shape]
    new = {key for key in unlike if _differs_in_classes(own[key], state[key], classes)}
    faults = {
        "missing": [key for key in own if key not in state and not key.endswith("num_batches_tracked")],
        "unexpected": [key for key in state if key not in own],
        "of another shape": [key for key in unlike if key not in new],
    }
    if found := [f"{fault}: {_key_list(keys)}" for fault, keys in faults.items() if keys]:
        raise UserError(f"{source} holds the weights of another network ({'; '.join(found)})")
    network.load_state_dict({key: state[key] for key in state if key not in new}, strict=False)


def _differs_in_classes(own: Tensor, other: Tensor, classes: int) -> bool:
    return own.dim() > 0 and own.shape[0] == classes and own.shape[1:] == other.shape[1:]


def _key_list(keys: list[str]) -> str:
    first, more = keys[:SHOWN], len(keys) - SHOWN
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")
