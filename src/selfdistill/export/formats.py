"""File formats of an exported network: how each is written, and how its own program runs it."""

import importlib.util
import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.export.logits_only import LogitsOnly
from selfdistill.features.model_copy import copy_model

Network = Callable[[Mapping[str, Tensor]], Tensor]  # inputs by name, B rows each -> logits [B, C] or [B, C, H, W]
Program = TypeVar("Program")


@dataclass(frozen=True, eq=False)
class Student:
    """The network to export, with all that a writer needs."""

    model: LogitsOnly  # in eval mode
    inputs: Mapping[str, Tensor]  # example by name
    weights: Path  # of the run
    metadata: dict[str, str]

    @torch.no_grad()
    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Compute the logits of inputs by name."""
        logits: Tensor = self.model(*inputs.values())
        return logits


@dataclass(frozen=True)
class Format:
    """A file format: its suffix, its writer, and the reader that runs a file."""

    suffix: str
    write: Callable[[Student, Path], None]
    read: Callable[[Student, Path], Network]


def require_onnx() -> None:
    """Raise `UserError` unless the libraries of ONNX are installed."""
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]:
        raise UserError(f"ONNX needs {', '.join(missing)}: pip install 'selfdistill[onnx]'")


def read_onnx(path: Path) -> Network:
    """Open an ONNX file with ONNX Runtime, on the CPU with as many threads as torch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: torch.from_numpy(session.run(None, {name: each.numpy() for name, each in inputs.items()})[0])


def _write_safetensors(student: Student, path: Path) -> None:
    save_file(load_file(student.weights), path, student.metadata)


def _read_safetensors(student: Student, path: Path) -> Network:
    again = copy_model(student.model)
    again.model.load_state_dict(load_file(path))
    return Student(again, student.inputs, path, {})


def _write_program(student: Student, path: Path) -> None:
    program = _without_warnings(
        lambda: torch.export.export(
            student.model, tuple(student.inputs.values()), dynamic_shapes=_dynamic_batch(student.inputs)
        )
    )
    content = io.BytesIO()  # torch's own writer ends the process where the disk is full
    torch.export.save(program, content, extra_files=dict(student.metadata))
    path.write_bytes(content.getbuffer())


def _read_program(student: Student, path: Path) -> Network:
    module = torch.export.load(io.BytesIO(path.read_bytes())).module()
    return torch.no_grad()(lambda inputs: module(*inputs.values()))


def _write_onnx(student: Student, path: Path) -> None:
    require_onnx()
    exported = _without_warnings(
        lambda: torch.onnx.export(
            student.model,
            tuple(student.inputs.values()),
            dynamo=True,
            dynamic_shapes=_dynamic_batch(student.inputs),
            input_names=list(student.inputs),
            output_names=["logits"],
            verbose=False,
        )
    )
    program = cast("torch.onnx.ONNXProgram", exported)  # None only without `dynamo`
    program.model.metadata_props.update(student.metadata)
    program.save(str(path))


def _dynamic_batch(example: Mapping[str, Tensor]) -> dict[str, tuple[dict[int, object], ...]]:
    """Let the number of rows vary, alike in all inputs."""
    batch = torch.export.Dim("batch")
    return {"inputs": tuple({0: batch} for _ in example)}


def _without_warnings(export_program: Callable[[], Program]) -> Program:
    """Call an exporter without its deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return export_program()


FORMATS = {
    "safetensors": Format(".safetensors", _write_safetensors, _read_safetensors),
    "onnx": Format(".onnx", _write_onnx, lambda _, path: read_onnx(path)),
    "torch-export": Format(".pt2", _write_program, _read_program),
}
