"""Export of the student as safetensors, ONNX or torch.export, with a check of its outputs."""

import importlib.util
import io
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features.logits import logits_of
from selfdistill.files import make_folder, write_atomic
from selfdistill.models import create
from selfdistill.records import RunInfo
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import WEIGHTS, load_run

TOLERANCE = 1e-4  # maximum absolute difference of the exported model's logits
Program = TypeVar("Program")
_DYNAMIC_BATCH = ({0: torch.export.Dim("batch")},)
SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx", "torch-export": ".pt2"}


class LogitsOnly(nn.Module):
    """Wrapper that returns only the logits of a model."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits. [B, 3, H, W] -> [B, C]."""
        return logits_of(self.model(images))


def export(folder: str | Path, to: str, out: str | Path | None = None) -> tuple[Path, float]:
    """Export the student of a finished run in the format `to`: "safetensors", "onnx" or "torch-export".

    Returns the path and the largest absolute difference between the logits of the file and of the student, on random
    images. Raises `UserError` if the format is unknown, its libraries are missing, or the logits differ.
    """
    if to not in SUFFIXES:
        raise UserError(f"there is no format {to!r}; there are {', '.join(SUFFIXES)}")
    student, info = load_run(folder)
    path = Path(out) if out else Path(folder) / f"student{SUFFIXES[to]}"
    make_folder(path.parent)
    images = torch.randn(3, 3, info["size"], info["size"], generator=torch.Generator().manual_seed(0))
    model = LogitsOnly(student.eval())
    with torch.no_grad():
        want = model(images)
    got = _FORMATS[to](model, images, path, Path(folder), info)
    gap = (got - want).abs().max().item()
    if gap > TOLERANCE:
        raise UserError(f"{path} gives logits that differ by {gap:.1e} from the student's; try another format")
    return path, gap


def _safetensors(model: nn.Module, images: Tensor, path: Path, folder: Path, info: RunInfo) -> Tensor:
    if path.resolve() != (folder / WEIGHTS).resolve():
        write_atomic(path, lambda beside: shutil.copyfile(folder / WEIGHTS, beside))
    config = RunConfig.from_json(info["config"])
    again = create(config.model, info["classes"], size=info["size"])
    again.load_state_dict(load_file(path))
    with torch.no_grad():
        return logits_of(again.eval()(images))


def _torch_export(model: nn.Module, images: Tensor, path: Path, folder: Path, info: RunInfo) -> Tensor:
    program = _without_warnings(
        lambda: torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    )
    write_atomic(path, lambda beside: _save_program(program, beside))
    logits: Tensor = torch.export.load(path).module()(images).detach()
    return logits


def _save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    content = io.BytesIO()  # torch's own writer ends the process where the disk is full
    torch.export.save(program, content)
    path.write_bytes(content.getbuffer())


def _onnx(model: nn.Module, images: Tensor, path: Path, folder: Path, info: RunInfo) -> Tensor:
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]:
        raise UserError(f"ONNX needs {', '.join(missing)}: pip install 'selfdistill[onnx]'")
    import onnxruntime

    exported = _without_warnings(
        lambda: torch.onnx.export(
            model,
            (images,),
            dynamo=True,
            dynamic_shapes=_DYNAMIC_BATCH,
            input_names=["images"],
            output_names=["logits"],
            verbose=False,
        )
    )
    program = cast("torch.onnx.ONNXProgram", exported)  # None only without `dynamo`
    write_atomic(path, lambda beside: program.save(str(beside)))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _without_warnings(export_program: Callable[[], Program]) -> Program:
    """Call an exporter without its deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return export_program()


_FORMATS = {"safetensors": _safetensors, "onnx": _onnx, "torch-export": _torch_export}
