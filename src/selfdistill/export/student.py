"""Export of the student as safetensors, ONNX or torch.export, with a check of its outputs and its latency."""

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.export.description import as_metadata, description
from selfdistill.export.example import Example, RunData, data_of, example_of
from selfdistill.export.formats import FORMATS, Format, Network, Student, read_onnx, require_onnx
from selfdistill.export.int8 import Accuracy, accuracy, quantize
from selfdistill.export.latency import Latency, latency
from selfdistill.export.logits_only import LogitsOnly
from selfdistill.files import make_folder, write_atomic, write_json
from selfdistill.records import RunInfo, task_in
from selfdistill.task import CLASSIFY
from selfdistill.train.networks import WEIGHTS, load_run

TOLERANCE = 1e-4  # largest difference of logits, in shares of the largest logit or of 1


class Check(NamedTuple):
    """Comparison of an exported file's logits with the student's."""

    inputs: str  # that both have got
    difference: float  # largest, absolute
    tolerance: float

    def __str__(self) -> str:
        return f"logits of {self.inputs} differ by {self.difference:.1e} at most (tolerance {self.tolerance:.0e})"


class Quantized(NamedTuple):
    """A file of 8 bits with its accuracy and latency."""

    path: Path
    accuracy: Accuracy
    latency: Latency


class Exported(NamedTuple):
    """An exported file with its check and latency."""

    path: Path
    check: Check
    latency: Latency
    int8: Quantized | None = None


def export(
    folder: str | Path,
    to: str,
    out: str | Path | None = None,
    *,
    int8: bool = False,
    modules: Collection[str] = (),
) -> Exported:
    """Export the student of a finished run in the format `to`: "safetensors", "onnx" or "torch-export".

    The file's logits of test images are compared with the student's, of random images where none can be read. Classes
    and normalization are in the file's metadata, and in a JSON file beside it together with check and latency. With
    `int8`, a second file is quantized and its top-1 compared. Raises `UserError` if the format is unknown, its
    libraries are missing, or the logits differ; an older file then stays.
    """
    if to not in FORMATS:
        raise UserError(f"there is no format {to!r}; there are {', '.join(FORMATS)}")
    model, info = load_run(folder, modules)
    if int8:
        _require_quantizable(to, info)
    path = Path(out) if out else Path(folder) / f"student{FORMATS[to].suffix}"
    make_folder(path.parent)
    example = example_of(info, Path(folder), modules)
    facts = description(info, example.inputs, fixed_size=to != "safetensors")
    wrapped = LogitsOnly(model.eval(), tuple(example.inputs))
    student = Student(wrapped, example.inputs, Path(folder) / WEIGHTS, as_metadata(facts))
    check = _write(student, FORMATS[to], path, example)
    measured = latency(FORMATS[to].read(student, path), student, example.inputs)
    write_json(description_path(path), facts | {"check": check._asdict(), "latency": asdict(measured)})
    quantized = _quantize(student, path, info, facts, data_of(info, Path(folder), modules)) if int8 else None
    return Exported(path, check, measured, quantized)


def description_path(path: Path) -> Path:
    """Return the path of the description beside an exported file.

    >>> description_path(Path("student.onnx")).name
    'student.onnx.json'
    """
    return path.with_name(f"{path.name}.json")


def _write(student: Student, form: Format, path: Path, example: Example) -> Check:
    """Write a file and check it before it takes its name; the run's own weights stay as they are."""
    checks = list[Check]()

    def write_checked(beside: Path) -> None:
        form.write(student, beside)
        checks.append(_check(form.read(student, beside), student, example, path))

    if path.resolve() == student.weights.resolve():
        return _check(form.read(student, path), student, example, path)
    write_atomic(path, write_checked)
    return checks[0]


def _check(network: Network, student: Student, example: Example, path: Path) -> Check:
    """Compare the logits of two networks. Raises `UserError` if they differ by more than the tolerance."""
    wanted, found = student(example.inputs), network(example.inputs)
    check = Check(example.source, _largest(found - wanted), TOLERANCE * max(1.0, _largest(wanted)))
    if not check.difference <= check.tolerance:  # true of NaN too
        raise UserError(f"{path} would not be the student: {check}; try another format")
    return check


def _require_quantizable(to: str, info: RunInfo) -> None:
    if to != "onnx":
        raise UserError(
            f"--int8 quantizes by ONNX Runtime, but the format is {to}; pass --to onnx, or leave --int8 out"
        )
    require_onnx()
    task = task_in(info["config"]).name
    if task != CLASSIFY:
        raise UserError(f"--int8 compares top-1, which a run of the task {task!r} does not have; leave --int8 out")


def _quantize(student: Student, source: Path, info: RunInfo, facts: dict[str, object], data: RunData) -> Quantized:
    """Write the file of 8 bits beside that of 32, with its own description."""
    path = source.with_suffix(f".int8{FORMATS['onnx'].suffix}")
    calibrated_on = quantize(source, path, data, info, student.metadata)
    network = read_onnx(path)
    found = accuracy(read_onnx(source), network, data, info, calibrated_on)
    measured = latency(network, student, student.inputs)
    write_json(description_path(path), facts | {"int8": found._asdict(), "latency": asdict(measured)})
    return Quantized(path, found, measured)


def _largest(values: Tensor) -> float:
    return values.abs().max().item()
