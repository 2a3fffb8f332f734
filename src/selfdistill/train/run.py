"""One run: from a configuration to a folder that holds all there is to know of it."""

import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import Tensor, nn

from selfdistill import data
from selfdistill.data import Augmentation, Loader, Splits
from selfdistill.distiller import Distiller, own_stream
from selfdistill.errors import UserError
from selfdistill.measure.accuracy import evaluate
from selfdistill.method import Method
from selfdistill.methods import method as named
from selfdistill.models import create
from selfdistill.train import checkpoint, teacher
from selfdistill.train.config import RunConfig
from selfdistill.train.display import Display, Silent
from selfdistill.train.files import make_folder, read_json, write_json, write_whole
from selfdistill.train.loop import Trainer, median_step_ms
from selfdistill.train.teacher import RESULT, RUN, WEIGHTS


def run(
    config: RunConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    display: Display | None = None,
    networks: Mapping[str, nn.Module] | None = None,
    teachers: str | Path | None = None,
    splits: Splits | None = None,
) -> dict[str, Any]:
    """Train as configured and give the result, which also lies in `folder`.

    A finished run is not trained again; one that was interrupted goes on with `resume`. `teachers` is where
    teachers that must be trained first are kept; `networks` are teachers at hand; `splits` the data, where it
    is loaded already. Raises `UserError` for what a user can mend.
    """
    folder, method = make_folder(Path(folder)), named(config.method)
    if (finished := _finished(config, folder, resume)) is not None:
        return finished
    splits = splits or load_data(config)
    display = display or Silent()
    networks = dict(networks or {}) or _networks(
        method, config, splits, Path(teachers or folder.parent / "teachers"), display
    )
    fabric = Fabric(accelerator=config.accelerator, devices=1)
    trainer = make_trainer(config, method, splits, networks, fabric, folder, display)
    write_json(folder / RUN, facts(config, method, splits, trainer.augment))
    if resume and (folder / checkpoint.LAST).exists():
        trainer.take_up(checkpoint.load(folder))
    start = time.perf_counter()
    trainer.fit()
    return _finish(trainer, method, splits, folder, time.perf_counter() - start)


def load_data(config: RunConfig) -> Splits:
    """The data of a run."""
    return data.load(config.data, limit=config.limit, validation=config.validation, seed=config.seed, size=config.size)


def make_trainer(
    config: RunConfig,
    method: Method,
    splits: Splits,
    networks: Mapping[str, nn.Module],
    fabric: Fabric,
    folder: Path,
    display: Display,
) -> Trainer:
    """Model, distiller and loader of a run, each from random streams of its own."""
    with own_stream(f"{config.seed}:student"):
        student = create(
            config.model,
            len(splits.classes),
            size=splits.train.size,
            pretrained=config.pretrained,
            weights=config.weights,
        )
    torch.manual_seed(config.seed)  # for dropout and its like; all else has a stream of its own
    augment = data.usual(splits)
    loader = Loader(
        splits.train,
        config.batch_size,
        augment=augment,
        mixing=method.mixing,
        seed=config.seed,
        device=fabric.device,
    )
    example = augment.normalise(splits.train.images[: loader.batch_size])
    distiller = Distiller(
        _laid_out(student), method, example, networks=networks, classifier=config.classifier, seed=config.seed
    )
    _require_rows(distiller, loader, method)
    return Trainer(distiller, loader, splits, augment, config, fabric, folder, display)


def facts(config: RunConfig, method: Method, splits: Splits, augment: Augmentation) -> dict[str, Any]:
    """What run.json says."""
    return {
        "config": config.to_json(),
        "method": method.text,
        "resolved": method.resolved,
        "classes": len(splits.classes),
        "class_names": list(splits.classes),
        "size": splits.train.size,
        "mean": list(augment.mean),
        "std": list(augment.std),
        "images": {"train": len(splits.train), "test": len(splits.test)},
        "versions": {name: version(name) for name in ("selfdistill", "torch", "torchvision", "timm")}
        | {"python": platform.python_version()},
        "commit": _commit(),
        "machine": {"platform": platform.platform(), "threads": torch.get_num_threads()},
    }


def _finished(config: RunConfig, folder: Path, resume: bool) -> dict[str, Any] | None:
    """The stored result of this very configuration; `UserError` where the folder holds something else."""
    if not teacher.is_run(folder):
        return None
    stored = RunConfig.from_json(read_json(folder / RUN)["config"])
    if stored != config:
        fields = [key for key, value in config.to_json().items() if stored.to_json()[key] != value]
        raise UserError(f"{folder} holds a run with another {' and another '.join(fields)}; choose another --out")
    if (folder / RESULT).exists():
        return read_json(folder / RESULT)
    if (folder / checkpoint.LAST).exists() and not resume:
        raise UserError(f"{folder} holds this run, unfinished; add --resume to go on, or choose another --out")
    return None


def _networks(
    method: Method, config: RunConfig, splits: Splits, teachers: Path, display: Display
) -> dict[str, nn.Module]:
    """The network of each role, trained first and kept where it must be."""
    found = {}
    for role, reference in method.networks.items():
        planned = teacher.plan(reference, config)
        folder = planned if isinstance(planned, Path) else teacher.folder_for(planned, teachers)
        if isinstance(planned, RunConfig):
            run(planned, folder, resume=True, display=display, splits=splits)
        model, known = teacher.load_run(folder)
        found[role] = teacher.require_classes(model, known, splits, folder)
    return found


def _laid_out(student: nn.Module) -> nn.Module:
    """A convolutional network in channels_last, in which its steps are faster on CPU and GPU alike."""
    maps = any(isinstance(module, nn.Conv2d) for module in student.modules())
    return student.to(memory_format=torch.channels_last) if maps else student


def _require_rows(distiller: Distiller, loader: Loader, method: Method) -> None:
    rows = loader.batch_size // loader.ranks
    for name, term in distiller.terms.items():
        if rows < term.rows:
            raise UserError(
                f"{method.text} compares the rows of a batch (term {name!r}) and needs {term.rows} at least, but a "
                f"batch has {rows}; pass a larger --batch-size"
            )


def _finish(trainer: Trainer, method: Method, splits: Splits, folder: Path, seconds: float) -> dict[str, Any]:
    """Measure, and write the student and the result, the result last: it says that all is there."""
    config, student = trainer.config, trainer.distiller.close()
    added = sum(each.numel() for each in trainer.distiller.terms.parameters())
    held = [row["validation_top1"] for row in trainer.log if "validation_top1" in row]
    result = {
        **evaluate(student, splits.test, trainer.augment, device=trainer.fabric.device),
        **({"best_validation_top1": max(held), "validation_top1": held[-1]} if held else {}),
        "method": method.text,
        "resolved": method.resolved,
        "model": config.model,
        "data": config.data,
        "seed": config.seed,
        "epochs": config.epochs,
        "parameters": sum(each.numel() for each in student.parameters()),
        "added_parameters": added,
        "step_ms": median_step_ms(trainer.step_seconds),
        "images_per_second": trainer.log[-1]["images_per_second"],
        "train_seconds": sum(row["seconds"] for row in trainer.log),
        "seconds": seconds,
    }
    save_weights(student, folder / WEIGHTS)
    write_json(folder / RESULT, result)
    return result


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights under its own keys, each a copy of its own: tied ones are there twice."""
    weights = {key: _copied(value) for key, value in model.state_dict().items()}
    write_whole(path, lambda beside: save_file(weights, beside))


def _copied(value: Tensor) -> Tensor:
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _commit() -> str | None:
    """The commit of the folder that the command runs in, if it is one of git's."""
    asked = _quiet(lambda: subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5))
    return asked.stdout.strip() or None if asked else None


def _quiet(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (OSError, subprocess.SubprocessError):
        return None
