"""The student alone, in formats that other programs read, each checked against the student itself."""

import importlib.util
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features.trace import logits_of
from selfdistill.files import make_folder, write_whole
from selfdistill.models import create
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import WEIGHTS, load_run

CLOSE = 1e-4  # the largest difference of a logit that a format may bring
ENDINGS = {"safetensors": ".safetensors", "onnx": ".onnx", "torch-export": ".pt2"}


class Logits(nn.Module):
    """A model that gives its logits and nothing else."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, C]."""
        return logits_of(self.model(images))


def export(folder: str | Path, to: str, out: str | Path | None = None) -> tuple[Path, float]:
    """Write the student of a finished run as `to`: "safetensors", "onnx" or "torch-export".

    Gives the file and the largest difference of a logit between it and the student, on random images.
    Raises `UserError` where the format is unknown, its libraries are missing, or the outputs differ.
    """
    if to not in ENDINGS:
        raise UserError(f"there is no format {to!r}; there are {', '.join(ENDINGS)}")
    student, facts = load_run(folder)
    path = Path(out) if out else Path(folder) / f"student{ENDINGS[to]}"
    make_folder(path.parent)
    images = torch.randn(3, 3, facts["size"], facts["size"], generator=torch.Generator().manual_seed(0))
    model = Logits(student.eval())
    with torch.no_grad():
        want = model(images)
    got = _FORMATS[to](model, images, path, Path(folder), facts)
    gap = (got - want).abs().max().item()
    if gap > CLOSE:
        raise UserError(f"{path} gives logits that differ by {gap:.1e} from the student's; try another format")
    return path, gap


def _safetensors(model: nn.Module, images: Tensor, path: Path, folder: Path, facts: dict) -> Tensor:
    if path.resolve() != (folder / WEIGHTS).resolve():
        write_whole(path, lambda beside: shutil.copyfile(folder / WEIGHTS, beside))
    config = RunConfig.from_json(facts["config"])
    again = create(config.model, facts["classes"], size=facts["size"])
    again.load_state_dict(load_file(path))
    with torch.no_grad():
        return logits_of(again.eval()(images))


def _torch_export(model: nn.Module, images: Tensor, path: Path, folder: Path, facts: dict) -> Tensor:
    program = _quietly(lambda: torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},)))
    write_whole(path, lambda beside: _save_program(program, beside))
    return torch.export.load(path).module()(images).detach()


def _save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    with path.open("wb") as file:  # by name it would insist on an ending of its own
        torch.export.save(program, file)


def _onnx(model: nn.Module, images: Tensor, path: Path, folder: Path, facts: dict) -> Tensor:
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]:
        raise UserError(f"ONNX needs {', '.join(missing)}: pip install 'selfdistill[onnx]'")
    import onnxruntime

    shapes = ({0: torch.export.Dim("batch")},)
    program = _quietly(
        lambda: torch.onnx.export(
            model,
            (images,),
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=["images"],
            output_names=["logits"],
            verbose=False,
        )
    )
    write_whole(path, lambda beside: program.save(str(beside)))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _quietly(make: Callable):
    """Export without the exporters' notes on their own future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


_FORMATS = {"safetensors": _safetensors, "onnx": _onnx, "torch-export": _torch_export}
