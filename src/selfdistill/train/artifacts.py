"""Files in a run's folder: `run.json` before training; `result.json` and the weights after it."""

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from os import cpu_count
from pathlib import Path
from statistics import median
from typing import cast

import torch
from safetensors.torch import save
from torch import Tensor, nn

from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.kinds import AnyAugmentation, AnySplits, crop_of, training_size
from selfdistill.features.model_copy import copy_model
from selfdistill.files import write_atomic
from selfdistill.method import Method
from selfdistill.metrics.cost import added_parameters, parameters
from selfdistill.metrics.task_scores import evaluate_task
from selfdistill.records import AnyResult, RunInfo, number
from selfdistill.step import Distiller
from selfdistill.train.config import RunConfig
from selfdistill.train.trainer import Trainer

Channels = tuple[float, ...] | Mapping[str, tuple[float, ...]]


def run_metadata(
    config: RunConfig,
    method: Method,
    splits: AnySplits,
    augment: AnyAugmentation,
    class_weights: dict[str, float] | None = None,
    normalization: str = "data",
) -> RunInfo:
    """Describe a run before training, for `run.json`."""
    libraries = {name: version(name) for name in ("selfdistill", "torchvision", "timm")}
    build = {"torch": str(torch.__version__), "python": platform.python_version()}
    machine: dict[str, str | int | None] = {
        "platform": platform.platform(),
        "cpus": cpu_count(),
        "threads": torch.get_num_threads(),
    }
    info: RunInfo = {
        "config": config.to_json(),
        "recipe": config.recipe,
        "method": method.text,
        "resolved": method.resolved,
        "classes": len(splits.classes),
        "class_names": list(splits.classes),
        "size": training_size(splits, config.size)[0],
        "sides": list(training_size(splits, config.size)),
        "mean": channels_to_json(augment.mean),
        "std": channels_to_json(augment.std),
        "normalization": normalization,
        "crop_pct": crop_of(splits).crop_pct,
        "interpolation": crop_of(splits).interpolation,
        "images": {"train": len(splits.train), "test": len(splits.test)},
        "data_fingerprint": fingerprint(splits),
        "left_out": list(splits.notes),
        "skipped": list(splits.skipped),
        "versions": libraries | build,
        "commit": _commit(),
        "machine": machine,
    }
    return info if class_weights is None else {**info, "class_weights": class_weights}


def channels_to_json(values: Channels) -> list[float] | dict[str, list[float]]:
    """Return the values of channels as JSON has them; by name for several inputs."""
    if isinstance(values, Mapping):
        return {name: list(each) for name, each in values.items()}
    return list(values)


def result(trainer: Trainer, distiller: Distiller, method: Method) -> AnyResult:
    """Evaluate the student on the test set and summarize the run, for `result.json`.

    `distiller` is the trainer's own, or under FSDP its unsharded copy.
    """
    config, log, student = trainer.config, trainer.log, distiller.student
    seconds = sum(row["seconds"] for row in log)
    mean_ms = 1000 * seconds / min(len(log) * len(trainer.loader), trainer.steps)
    values = {
        **_test_scores(trainer, student),
        **_best_scores(trainer, student),
        "method": method.text,
        "resolved": method.resolved,
        "model": config.model,
        "data": config.data,
        "seed": config.seed,
        "epochs": len(log),
        "parameters": parameters(student),
        "added_parameters": added_parameters(distiller),
        "step_ms": trainer.stopwatch.median_ms() or mean_ms,
        "images_per_second": median(row["images_per_second"] for row in log),
        "train_seconds": seconds,
    }
    return cast(AnyResult, values)


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write a model's weights under their keys; tied weights are written once per key."""
    copies = {key: _contiguous_copy(value) for key, value in weights.items()}
    write_atomic(path, lambda beside: beside.write_bytes(save(copies)))  # save_file raises no OSError


def _test_scores(trainer: Trainer, network: nn.Module) -> dict[str, float]:
    return evaluate_task(trainer.task, network, trainer.splits.test, trainer.augment, device=trainer.fabric.device)


def _best_scores(trainer: Trainer, student: nn.Module) -> dict[str, float]:
    """Return the last and best validation score, and the best epoch's test score; empty without validation."""
    best, task = trainer.best, trainer.task
    if not best.epoch:
        return {}
    network = copy_model(student)
    network.load_state_dict(best.weights)
    return {
        task.validation: number(trainer.log[-1], task.validation) if trainer.config.patience is None else best.score,
        task.best_validation: best.score,
        "best_epoch": best.epoch,
        task.best_epoch: _test_scores(trainer, network)[task.score],
    }


def _contiguous_copy(value: Tensor) -> Tensor:
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)  # safetensors accepts no other


def _commit() -> str | None:
    """Return the git commit of the current folder, or None outside a repository."""
    try:
        process = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip() or None
