"""Arrays of a file as the inputs of a run on tensors, and the rows of their predictions."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from selfdistill.data.sources.options import split_options
from selfdistill.data.sources.tensor_file import TensorFile, tensor_options
from selfdistill.data.sources.tensor_names import CLASS_NAMES, LABELS, SPLIT
from selfdistill.data.tensor_layout import channels_first
from selfdistill.errors import UserError
from selfdistill.inputs import map_tensors, num_rows
from selfdistill.predict.cells import class_cells, columns_of, tag_cells, with_energy
from selfdistill.predict.finished_run import FinishedRun
from selfdistill.predict.transform import TensorTransform
from selfdistill.task import SEGMENT, TAG

BATCH = 32
OPTIONS = {"input": "NAME or NAME,NAME", "channels": "first, last or none"}
TensorInputs = Tensor | dict[str, Tensor]


def array_columns(finished: FinishedRun) -> list[str]:
    """Return the columns of predictions of arrays. Raises `UserError` for a run with masks."""
    if finished.task == SEGMENT:
        raise UserError(
            "masks of arrays are not written to files; call sd.load(run).predict(…) in Python, which returns maps of "
            "probabilities"
        )
    return ["path", "row", *columns_of(finished.task, finished.classes)]


def array_rows(finished: FinishedRun, places: Sequence[str | Path]) -> Iterator[list[str]]:
    """Yield a row for each example of .npz and .safetensors files, such as "FILE.npz?input=NAME"."""
    for path, inputs in [read_inputs(str(place), finished) for place in places]:  # mistakes are told at once
        for number, cells in enumerate(_cells(finished, inputs)):
            yield [str(path), str(number), *cells]


def read_inputs(place: str, finished: FinishedRun) -> tuple[Path, TensorInputs]:
    """Read the inputs of a run from a file: all arrays but those of labels, or those of `?input`, channels first.

    Raises `UserError` for a file that cannot be read, and for arrays that the run does not take.
    """
    name, options = split_options(place, OPTIONS)
    file = TensorFile(Path(name).expanduser())
    _, trained = tensor_options(finished.info["config"]["data"].partition(":")[2])
    names = _input_names(file, options)
    found = {
        each: channels_first(file.tensor(each), each, options.get("channels", trained.get("channels"))).values
        for each in names
    }
    if len({len(each) for each in found.values()}) > 1:
        raise UserError(f"the arrays {', '.join(names)} of {name!r} differ in rows; choose some by ?input=NAME")
    return file.path, found[names[0]] if len(names) == 1 else found


def _input_names(file: TensorFile, options: Mapping[str, str]) -> list[str]:
    if "input" in options:
        names = options["input"].split(",")
    else:
        names = [each for each in file.names if each not in (SPLIT, CLASS_NAMES) and each.lower() not in LABELS]
    if not names or set(names) - set(file.names):
        raise UserError(
            f"{str(file.path)!r} has no array {', '.join(names) or 'of inputs'}; name them by ?input=NAME, of "
            f"{', '.join(file.names) or 'none'}"
        )
    return names


def _cells(finished: FinishedRun, inputs: TensorInputs) -> Iterator[list[str]]:
    for batch in _batches(inputs):
        assert isinstance(finished.transform, TensorTransform)  # of a run on tensors
        logits = finished.logits(finished.transform.batch(batch))
        if finished.task == TAG:
            yield from tag_cells(logits.sigmoid(), finished.classes)
        else:
            yield from class_cells(with_energy(logits), finished.classes)


def _batches(inputs: TensorInputs) -> Iterator[TensorInputs]:
    def rows(block: slice) -> TensorInputs:
        return map_tensors(lambda each: each[block], inputs)

    for first in range(0, num_rows(inputs), BATCH):
        yield rows(slice(first, first + BATCH))
