"""Export of the student as safetensors, ONNX or torch.export, with a check of its outputs."""

import importlib.util
import io
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from selfdistill.data.kinds import augmentation_for, example_inputs
from selfdistill.data.sources.own_name import require_data_module
from selfdistill.errors import UserError
from selfdistill.export.description import as_metadata, description
from selfdistill.features.logits import logits_of
from selfdistill.features.model_copy import copy_model
from selfdistill.files import make_folder, write_atomic, write_json
from selfdistill.records import RunInfo
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import WEIGHTS, load_run, trained_normalization
from selfdistill.train.run import load_data

IMAGES, INPUTS = "images", "inputs"  # names of a single input
ROWS = 3  # of the check
TOLERANCE = 1e-4  # maximum absolute difference of the exported model's logits
Program = TypeVar("Program")
SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx", "torch-export": ".pt2"}


class LogitsOnly(nn.Module):
    """Wrapper that takes a model's inputs by position and returns only its logits.

    `names` are the keywords of several inputs; a single input has one name and is passed by position.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...] = (IMAGES,)):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute the logits. B rows in each input -> [B, C] or [B, C, H, W]."""
        if len(inputs) == 1:
            return logits_of(self.model(*inputs))
        return logits_of(self.model(**dict(zip(self.names, inputs, strict=True))))


def _example(info: RunInfo, modules: Collection[str]) -> dict[str, Tensor]:
    """Return inputs by name: random images, or for a run on tensors its first test examples."""
    config = RunConfig.from_json(info["config"])
    if not isinstance(info["mean"], dict):
        sides = info.get("sides") or [info["size"]] * 2
        return {IMAGES: torch.randn(ROWS, len(info["mean"]), *sides, generator=torch.Generator().manual_seed(0))}
    require_data_module(config.data, modules, "the run")
    splits = load_data(config)
    inputs = example_inputs(splits.test, ROWS, trained_normalization(augmentation_for(splits, None), info))
    return {INPUTS: inputs} if isinstance(inputs, Tensor) else dict(cast(Mapping[str, Tensor], inputs))


def export(
    folder: str | Path, to: str, out: str | Path | None = None, *, modules: Collection[str] = ()
) -> tuple[Path, float]:
    """Export the student of a finished run in the format `to`: "safetensors", "onnx" or "torch-export".

    Returns the path and the largest absolute difference between the logits of the file and of the student, on random
    images. Classes and normalization are in the file's metadata, and in a JSON file beside it. Raises `UserError` if
    the format is unknown, its libraries are missing, or the logits differ.
    """
    if to not in SUFFIXES:
        raise UserError(f"there is no format {to!r}; there are {', '.join(SUFFIXES)}")
    student, info = load_run(folder, modules)
    path = Path(out) if out else Path(folder) / f"student{SUFFIXES[to]}"
    make_folder(path.parent)
    example = _example(info, modules)
    model = LogitsOnly(student.eval(), tuple(example))
    with torch.no_grad():
        want = model(*example.values())
    facts = description(info, example, fixed_size=to != "safetensors")
    got = _FORMATS[to](model, example, path, Path(folder), as_metadata(facts))
    gap = (got - want).abs().max().item()
    if gap > TOLERANCE:
        raise UserError(f"{path} gives logits that differ by {gap:.1e} from the student's; try another format")
    write_json(description_path(path), facts)
    return path, gap


def description_path(path: Path) -> Path:
    """Return the path of the description beside an exported file.

    >>> description_path(Path("student.onnx")).name
    'student.onnx.json'
    """
    return path.with_name(f"{path.name}.json")


def _safetensors(
    model: LogitsOnly, example: dict[str, Tensor], path: Path, folder: Path, metadata: dict[str, str]
) -> Tensor:
    if path.resolve() != (folder / WEIGHTS).resolve():  # the run's own file stays as it is
        weights = load_file(folder / WEIGHTS)
        write_atomic(path, lambda beside: save_file(weights, beside, metadata))
    again = copy_model(model)
    again.model.load_state_dict(load_file(path))
    with torch.no_grad():
        logits: Tensor = again(*example.values())
    return logits


def _torch_export(
    model: LogitsOnly, example: dict[str, Tensor], path: Path, folder: Path, metadata: dict[str, str]
) -> Tensor:
    program = _without_warnings(
        lambda: torch.export.export(model, tuple(example.values()), dynamic_shapes=_dynamic_batch(example))
    )
    write_atomic(path, lambda beside: _save_program(program, beside, metadata))
    logits: Tensor = torch.export.load(path).module()(*example.values()).detach()
    return logits


def _save_program(program: torch.export.ExportedProgram, path: Path, metadata: dict[str, str]) -> None:
    content = io.BytesIO()  # torch's own writer ends the process where the disk is full
    torch.export.save(program, content, extra_files=dict(metadata))
    path.write_bytes(content.getbuffer())


def _onnx(model: LogitsOnly, example: dict[str, Tensor], path: Path, folder: Path, metadata: dict[str, str]) -> Tensor:
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]:
        raise UserError(f"ONNX needs {', '.join(missing)}: pip install 'selfdistill[onnx]'")
    import onnxruntime

    exported = _without_warnings(
        lambda: torch.onnx.export(
            model,
            tuple(example.values()),
            dynamo=True,
            dynamic_shapes=_dynamic_batch(example),
            input_names=list(example),
            output_names=["logits"],
            verbose=False,
        )
    )
    program = cast("torch.onnx.ONNXProgram", exported)  # None only without `dynamo`
    program.model.metadata_props.update(metadata)
    write_atomic(path, lambda beside: program.save(str(beside)))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {name: each.numpy() for name, each in example.items()})[0])


def _dynamic_batch(example: dict[str, Tensor]) -> dict[str, tuple[dict[int, object], ...]]:
    """Let the number of rows vary, alike in all inputs."""
    batch = torch.export.Dim("batch")
    return {"inputs": tuple({0: batch} for _ in example)}


def _without_warnings(export_program: Callable[[], Program]) -> Program:
    """Call an exporter without its deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return export_program()


_FORMATS = {"safetensors": _safetensors, "onnx": _onnx, "torch-export": _torch_export}
