"""Arrays by name in an .npz or .safetensors file, read one at a time and without running code of the file."""

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from selfdistill.data.sources import first_line
from selfdistill.data.sources.options import split_options
from selfdistill.data.sources.tensor_names import assign_arrays
from selfdistill.errors import UserError
from selfdistill.files import is_file, is_folder, parse_json
from selfdistill.task import CLASSIFY, SEGMENT, TAG, TaskName

if TYPE_CHECKING:  # the task of an .npz file is read without torch
    from torch import Tensor

OPTIONS = {
    "input": "NAME or NAME,NAME",
    "label": "NAME",
    "test": "SHARE",
    "channels": "first, last or none",
    "ignore": "ID or none",
}
NPZ, SAFETENSORS = ".npz", ".safetensors"
NUMBERS = "biuf"  # kinds of NumPy: bool, signed, unsigned, float


class TensorFile:
    """Arrays of a file by name. Raises `UserError` for a file that is missing, damaged or of another kind."""

    def __init__(self, path: Path):
        self.path = path
        _require_tensor_file(path)
        with self._open() as file:
            self.names: list[str] = list(file.keys())
            self.metadata: dict[str, str] = {} if path.suffix == NPZ else file.metadata() or {}

    def dims(self, name: str) -> tuple[int, ...]:
        """Shape of an array."""
        with self._open(name) as file:
            return tuple(file[name].shape if self.path.suffix == NPZ else file.get_slice(name).get_shape())

    def tensor(self, name: str) -> "Tensor":
        """Read an array of numbers: floats as float32, integers as int64, unsigned bytes and bools as they are.

        Raises `UserError` for other kinds, and for floats that are NaN, infinite or beyond float32.
        """
        with self._open(name) as file:
            found = _from_numpy(file[name]) if self.path.suffix == NPZ else file.get_tensor(name)
        return _sound(found, f"{name!r} of {str(self.path)!r}")

    def texts(self, name: str) -> list[str] | None:
        """Read an array of texts, or the JSON list of this name in the metadata of a safetensors file; None without."""
        if self.path.suffix == SAFETENSORS:
            return _parse_texts(self.metadata[name], name, self.path) if name in self.metadata else None
        if name not in self.names:
            return None
        with self._open(name) as file:
            return [each.decode() if isinstance(each, bytes) else str(each) for each in file[name].ravel().tolist()]

    @contextmanager
    def _open(self, name: str | None = None) -> Iterator[Any]:
        """Open the file; convert errors of the formats to `UserError`."""
        try:
            with _opened(self.path) as file:
                yield file
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, SafetensorError, KeyError) as error:
            what = repr(str(self.path)) if name is None else f"{name!r} of {str(self.path)!r}"
            if "allow_pickle" in str(error):
                raise UserError(
                    f"{what} holds Python objects, which may run code; save it as an array of numbers, or leave it out"
                ) from None
            raise UserError(f"cannot read {what}: {first_line(error)}; save the file again") from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if path.suffix == SAFETENSORS:
        with safe_open(path, framework="pt") as tensors:
            yield tensors
    else:
        with path.open("rb") as file, np.load(file) as arrays:  # which leaves a damaged file open by itself
            yield arrays


def tensor_options(argument: str) -> tuple[Path, dict[str, str]]:
    """Split an argument into the path of the file and the options."""
    path, options = split_options(argument, OPTIONS)
    return Path(path).expanduser(), options


def task(argument: str) -> TaskName:
    """Task of `tensors:PATH`, by the shape of the labels: [N] classes, [N, T] tags, [N, H, W] pixels."""
    path, options = tensor_options(argument)
    file = TensorFile(path)
    label = next(iter(assign_arrays(file.names, options, path).labels.values()))
    return task_of_labels(file.dims(label))


def task_of_labels(shape: tuple[int, ...]) -> TaskName:
    """Task of labels of a shape; sides of 1 beside [N] do not count.

    >>> task_of_labels((8, 1)), task_of_labels((8, 5)), task_of_labels((8, 64, 64))
    ('classify', 'tag', 'segment')
    """
    if len(shape) <= 2:
        return CLASSIFY if shape[1:] in ((), (1,)) else TAG
    return SEGMENT


def files(argument: str) -> list[Path]:
    """Return the file."""
    return [tensor_options(argument)[0]]


def _require_tensor_file(path: Path) -> None:
    if is_folder(path) or path.suffix not in (NPZ, SAFETENSORS):
        raise UserError(f"{str(path)!r} is no .npz or .safetensors file; save the arrays with np.savez or safetensors")
    if not is_file(path):
        raise UserError(f"there is no file {str(path)!r}; tensors:PATH is an .npz or .safetensors file of arrays")


def _from_numpy(array: np.ndarray[Any, Any]) -> "Tensor | str":
    """Convert an array of numbers; return the dtype of another."""
    import torch

    if array.dtype.kind not in NUMBERS:
        return str(array.dtype)
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and array.max() > np.iinfo(np.int64).max:
        return "uint64 beyond int64"
    wide = {"i": np.int64, "u": np.int64, "f": np.float64}.get(array.dtype.kind)
    kept = array.dtype == np.uint8 or wide is None or (array.dtype.kind == "f" and array.dtype.isnative)
    converted = array if kept and array.dtype != np.longdouble else array.astype(wide)
    return torch.from_numpy(np.ascontiguousarray(converted))


def _sound(values: "Tensor | str", name: str) -> "Tensor":
    """Convert to float32, int64, uint8 or bool; raise `UserError` for other kinds, and for NaN and infinity."""
    import torch

    if isinstance(values, str) or values.is_complex():
        kind = values if isinstance(values, str) else str(values.dtype).removeprefix("torch.")
        raise UserError(
            f"the array {name} is {kind}, but numbers are needed; convert it, or leave it out by ?input=NAME"
        )
    if not values.is_floating_point():
        return values if values.dtype in (torch.uint8, torch.bool) else values.long()
    single = values.float()
    if wrong := int((~single.isfinite()).sum()):
        raise UserError(
            f"{wrong} of the {values.numel()} values of the array {name} are NaN, infinite or too large for float32; "
            "fill them, or remove their rows"
        )
    return single


def _parse_texts(text: str, name: str, path: Path) -> list[str]:
    try:
        found = parse_json(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise UserError(
            f"{name} in the metadata of {str(path)!r} is no JSON list of texts; write {json.dumps(['a', 'b'])}"
        )
    return found
