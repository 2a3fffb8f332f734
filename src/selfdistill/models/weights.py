"""Weights from a file, into a model whose classifier may be another."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from selfdistill.errors import UserError


def load_weights(model: nn.Module, file: str | Path) -> nn.Module:
    """Load a safetensors file or a state dict (.pt, .pth); a classifier of another class count stays new.

    Nothing in the file is executed. Raises `UserError` where the file cannot be read or its keys are not
    the model's.
    """
    given, own = _read(Path(file).expanduser()), model.state_dict()
    fits = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
    reshaped = [key for key in given.keys() & own.keys() if key not in fits]
    _require(file, "lacks", own.keys() - given.keys())
    _require(file, "also has", given.keys() - own.keys())
    if others := [key for key in reshaped if len(own[key]) == len(given[key]) or own[key].dim() > 2]:
        raise UserError(
            f"{file} has {min(others)} of shape {tuple(given[min(others)].shape)}, but the model's is "
            f"{tuple(own[min(others)].shape)}; make the model that the weights were saved from"
        )
    model.load_state_dict(fits, strict=False)
    return model


def _require(file: str | Path, what: str, keys: set[str]) -> None:
    if keys:
        few = ", ".join(sorted(keys)[:3])
        raise UserError(f"{file} {what} {len(keys)} keys ({few}); make the model that the weights were saved from")


def _read(file: Path) -> Mapping[str, Tensor]:
    if not file.is_file():
        raise UserError(f"there is no weights file {str(file)!r}")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise UserError(f"cannot read {file}: {str(error).splitlines()[0]}") from None
    except Exception as error:  # an unpickling error's kind depends on torch's version
        raise UserError(f"{file} holds more than weights ({type(error).__name__}); save a state dict alone") from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(each, Tensor) for each in state.values()):
        raise UserError(f"{file} holds no state dict of tensors; save model.state_dict()")
    return state
