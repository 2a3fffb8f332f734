"""Jobs that evaluate finished runs, executed by a study's engine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.kinds import AnySplits, augmentation_for
from selfdistill.data.sources.own_name import require_data_module
from selfdistill.errors import UserError
from selfdistill.methods import parse_stored_method
from selfdistill.metrics import available_metrics, evaluate
from selfdistill.records import read_result
from selfdistill.study.engine.engine import Engine, SerialEngine, run_jobs
from selfdistill.study.engine.job import Job, Outcome, load_splits
from selfdistill.study.evaluation.request import EvaluationRequest
from selfdistill.study.evaluation.store import add, of_same_images, path_of, read
from selfdistill.study.layout import run_folder
from selfdistill.study.study import Study
from selfdistill.train import preflight
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import (
    load_run,
    recorded_config,
    require_classes,
    resolve_networks,
    trained_channels,
    trained_normalization,
)
from selfdistill.train.run import make_trainer


@dataclass(frozen=True)
class EvaluationJob(Job):
    """The evaluation of a finished run."""

    request: EvaluationRequest = field(default=EvaluationRequest())

    def __str__(self) -> str:
        return f"metrics of {super().__str__()}"

    @property
    def done(self) -> bool:
        """Return True if all requested metrics are stored."""
        try:
            stored = read(path_of(self.folder, self.request.data))
        except UserError:  # which the job itself reports
            return False
        files = fingerprint(self.request.data or self.config.data)
        if stored and stored.digest and files and files["digest"] != stored.digest:
            return False
        return not self.request.remaining(stored, self.config.resolved_task.name)

    @property
    def epochs(self) -> int:
        """Always 0, since nothing is trained."""
        return 0

    def run(self, listener: Listener | None = None) -> Mapping[str, object]:
        """Compute the metrics that are not stored yet."""
        listener = listener or Listener()
        listener.on_run_start(str(self), 0, 0)
        return evaluate_run(self.folder, self.request, listener)

    def summarize(self, result: Mapping[str, object]) -> str:
        """Format the number of computed metrics."""
        return f"{len(result)} computed" if result else "all stored already"


def evaluate_all(
    studies: Sequence[Study],
    request: EvaluationRequest,
    *,
    engine: Engine | None = None,
    listener: Listener | None = None,
) -> None:
    """Evaluate all finished runs of studies; metrics that are stored already are not computed again.

    A failed evaluation is recorded in its study's `errors`.
    """
    owners = {job: study for study in studies for job in _jobs(study, request)}
    done = {job for job in owners if job.done}
    run_jobs(studies, owners, done, _record_error, engine or SerialEngine(), listener or Listener())


def evaluate_run(
    folder: Path, request: EvaluationRequest, listener: Listener, *, recompute: bool = False
) -> dict[str, Any]:
    """Evaluate the student of a finished run, store each metric in the run's folder, and return the computed ones.

    Metrics already stored for the same images are skipped, unless `recompute`. Raises `UserError` if the folder holds
    no finished run, or if the data or a metric does not fit it.
    """
    student, info = load_run(folder, request.modules)
    config, size = recorded_config(info), info["size"]
    require_data_module(config.data, request.modules, f"the run in '{folder}'")
    splits, empty = request.splits(config, size), request.empty_file(config, size)
    require_classes(info, splits, folder)
    stored, now = info.get("data_fingerprint"), fingerprint(config.data)
    if request.data is None and stored and now and stored["digest"] != now["digest"]:
        listener.on_note(
            f"the data of {config.data} have changed since the run in {folder}: the metrics are of the new"
        )
    options: dict[str, Any] = {
        "ood": request.ood_splits(size, trained_channels(info), config.bits),
        "augment": trained_normalization(augmentation_for(splits, config.size), info),
        "classifier": request.classifier or config.classifier,
        "epsilons": request.epsilons,
    }
    path, computed, task = path_of(folder, request.data), {}, config.resolved_task.name
    remaining = request.remaining(None if recompute else of_same_images(read(path), empty), task)
    if "cost" in remaining:
        parse_stored_method(config.method, request.modules)  # raises `UserError` before anything is evaluated
    available = available_metrics(student, splits, metrics=request.metric_names, **options)

    def store(name: str, values: Any) -> None:
        computed[name] = values | training_cost(folder, config, request) if name == "cost" else values
        add(path, empty, name, computed[name], empty.images if name == "cost" else len(splits.test))

    evaluate(
        student.to(device_of(request.accelerator)),
        splits,
        metrics=[name for name in remaining if name in available],
        on_start=listener.on_note,
        on_result=store,
        **options,
    )
    return computed


def device_of(accelerator: str) -> torch.device:
    """Return a device by name. Raises `UserError` if this machine has none of this name."""
    there = torch.accelerator.current_accelerator(check_available=True)
    kinds = {"cpu": torch.device("cpu"), "auto": there or torch.device("cpu")}
    if there:
        kinds |= {"gpu": there, there.type: there}
    if accelerator not in kinds:
        raise UserError(f"cannot evaluate on {accelerator!r}; this machine has {', '.join(kinds)}")
    return kinds[accelerator]


def training_cost(folder: Path, config: RunConfig, request: EvaluationRequest) -> dict[str, float]:
    """Return the cost of a training step: extra parameters, the run's step time (ms), and peak memory (MiB).

    The memory is that of one process, measured in a training step of untrained networks. Raises `UserError` for a
    method of a module that the request does not name.
    """
    result = read_result(folder, config.to_json())
    return {
        "added_parameters": result["added_parameters"],
        "step_ms": result["step_ms"],
        "step_mib": _step_bytes(config, load_splits(config), request) / 2**20,
    }


def _step_bytes(config: RunConfig, splits: AnySplits, request: EvaluationRequest) -> int:
    processes = config.devices * config.nodes
    alone = replace(
        config,
        devices=1,
        nodes=1,
        strategy="auto",
        batch_size=config.batch_size // processes,
        sync_batchnorm=False,
        compile_mode="default",
        compile=False,  # the tensors of compiled code cannot be counted
        pretrained=False,  # a name in a run's files must not download or read anything
        weights=None,
        accelerator=device_of(request.accelerator).type,  # type: ignore[arg-type]  # torch's names are those of RunConfig
    )
    method = parse_stored_method(config.method, request.modules)
    return preflight.peak(
        make_trainer(
            alone, method, splits, resolve_networks(method, alone, splits, modules=request.modules), Path(), Listener()
        )
    )


def _jobs(study: Study, request: EvaluationRequest) -> Iterator[Job]:
    for key in study.keys:  # outer loop, because the data of a key are loaded once for all methods
        for row in (each for each in study.methods if key in study.results.get(each, {})):
            folder = run_folder(study.folder, row, key)
            yield EvaluationJob(row, study.config(row, key), folder, study.folder / "teachers", request)


def _record_error(study: Study, job: Job, outcome: Outcome) -> None:
    if outcome.result is None:
        study.errors[job.row] = f"evaluation failed: {outcome.error}"
