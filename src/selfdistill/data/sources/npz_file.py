"""Task and files of `npz:PATH`, read without torch."""

from collections.abc import Mapping
from pathlib import Path

from selfdistill.data.sources import tensor_file
from selfdistill.data.sources.options import split_options
from selfdistill.data.sources.tensor_names import assign_arrays
from selfdistill.errors import UserError
from selfdistill.task import SEGMENT, TaskName

OPTIONS = {"input": "NAME", "label": "NAME"}


def task(argument: str) -> TaskName:
    """Task of `npz:PATH`, by the shape of the labels: [N] or [N, 1] classes, [N, T] tags. Raises `UserError`."""
    path, options = npz_options(argument)
    file = tensor_file.TensorFile(path)
    names = assign_arrays(file.names, options, path)
    found = tensor_file.task_of_labels(file.dims(next(iter(names.labels.values()))))
    if found == SEGMENT:
        raise UserError(f"the labels of {str(path)!r} are of pixels; read them by tensors:{path}")
    return found


def files(argument: str) -> list[Path]:
    """Return the file."""
    return [npz_options(argument)[0]]


def npz_options(argument: str) -> tuple[Path, dict[str, str]]:
    """Split an argument into the path of the file and the options. Raises `UserError` for another kind of file."""
    path, options = split_options(argument, OPTIONS)
    if not path.lower().endswith(tensor_file.NPZ):
        raise UserError(f"{path!r} is no .npz file; npz:PATH is a file of arrays, as np.savez writes it")
    return Path(path).expanduser(), options


def channel_order(path: Path, options: Mapping[str, str]) -> dict[str, str]:
    """Return the option of arrays that tells where images have their channels; empty where the shape leaves it open."""
    file = tensor_file.TensorFile(path)
    inputs = next(iter(assign_arrays(file.names, options, path).inputs.values()))
    _, *sides = file.dims(next(iter(inputs.values())))
    if len(sides) == 2:
        return {"channels": "none"}
    few = [place for place, each in (("first", sides[0]), ("last", sides[-1])) if each in (1, 3)] if sides else []
    return {"channels": few[0]} if len(few) == 1 and len(sides) == 3 else {}
