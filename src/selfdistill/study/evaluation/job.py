"""Finished runs are measured, by the engine that made them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from selfdistill.data import Augmentation, Splits
from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.methods import parse_stored_method
from selfdistill.metrics import available_metrics, evaluate
from selfdistill.study.engine.engine import Engine, SerialEngine, run_jobs
from selfdistill.study.engine.job import Job, Outcome, data_of
from selfdistill.study.evaluation.request import EvaluationRequest
from selfdistill.study.evaluation.store import add, of_same_images, path_of, read
from selfdistill.study.layout import run_folder
from selfdistill.study.study import Study
from selfdistill.train import preflight
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import RESULT, load_run, require_classes, resolve_networks
from selfdistill.train.run import make_trainer


@dataclass(frozen=True)
class EvaluationJob(Job):
    """A finished run that is to be measured."""

    questions: EvaluationRequest = field(default=EvaluationRequest())

    def __str__(self) -> str:
        return f"measures of {super().__str__()}"

    @property
    def done(self) -> bool:
        """Whether all requested metrics are stored."""
        return not self.questions.left(read(path_of(self.folder, self.questions.data)))

    @property
    def epochs(self) -> int:
        """None: it trains nothing."""
        return 0

    def make(self, listener: Listener | None = None) -> Mapping[str, object]:
        """Take the measures that are not there yet."""
        listener = listener or Listener()
        listener.on_run_start(str(self), 0, 0)
        return measure(self.folder, self.questions, listener)

    def summarize(self, result: Mapping[str, object]) -> str:
        """Format the number of computed metrics."""
        return f"{len(result)} taken" if result else "nothing left to take"


def measure_all(
    studies: Sequence[Study],
    questions: EvaluationRequest,
    *,
    engine: Engine | None = None,
    listener: Listener | None = None,
) -> None:
    """Measure all finished runs of some studies; what a run's folder holds already is not measured again.

    A run that cannot be measured is told in its study's `errors`.
    """
    owners = {job: study for study in studies for job in _jobs(study, questions)}
    done = {job for job in owners if job.done}
    run_jobs(studies, owners, done, _keep, engine or SerialEngine(), listener or Listener())


def measure(folder: Path, questions: EvaluationRequest, listener: Listener, *, anew: bool = False) -> dict[str, Any]:
    """Measure a finished run's student and keep each group of numbers in its folder; give those that were taken.

    Those that are there of the same images are left out, unless all is to be taken `anew`. Raises `UserError`.
    """
    student, facts = load_run(folder)
    config, size = RunConfig.from_json(facts["config"]), facts["size"]
    splits, whole = questions.splits(config, size), questions.whole(config, size)
    require_classes(facts, splits, folder)
    options: dict[str, Any] = {
        "ood": questions.strange(size),
        "classifier": questions.classifier or config.classifier,
        "epsilons": questions.epsilons,
    }
    path, found = path_of(folder, questions.data), {}
    left = questions.left(None if anew else of_same_images(read(path), whole))
    if "cost" in left:
        parse_stored_method(config.method, questions.modules)  # refused before anything is measured
    can = available_metrics(student, splits, metrics=questions.which, **options)

    def keep(name: str, numbers: Any) -> None:
        found[name] = numbers | training_cost(folder, config, questions) if name == "cost" else numbers
        add(path, whole, name, found[name], whole.images if name == "cost" else len(splits.test))

    evaluate(
        student.to(device_of(questions.accelerator)),
        splits,
        metrics=[name for name in left if name in can],
        augment=Augmentation(0, False, tuple(facts["mean"]), tuple(facts["std"])),  # what it was trained with
        on_start=listener.on_note,
        on_result=keep,
        **options,
    )
    return found


def device_of(accelerator: str) -> torch.device:
    """The device of this name; raises `UserError` where there is none."""
    there = torch.accelerator.current_accelerator(check_available=True)
    kinds = {"cpu": torch.device("cpu"), "auto": there or torch.device("cpu")}
    if there:
        kinds |= {"gpu": there, there.type: there}
    if accelerator not in kinds:
        raise UserError(f"cannot measure on {accelerator!r}; this machine has {', '.join(kinds)}")
    return kinds[accelerator]


def training_cost(folder: Path, config: RunConfig, request: EvaluationRequest) -> dict[str, float]:
    """Of a training step: parameters beside the student's, milliseconds as the run took them, MiB at the peak.

    The memory is counted on a step made for it: that of one process, of networks that know nothing. Raises `UserError`
    for a method of a module that the request does not name.
    """
    result = read_json(folder / RESULT)
    return {
        "added_parameters": result["added_parameters"],
        "step_ms": result["step_ms"],
        "step_mib": _step_bytes(config, data_of(config), request) / 2**20,
    }


def _step_bytes(config: RunConfig, splits: Splits, request: EvaluationRequest) -> int:
    processes = config.devices * config.nodes
    alone = replace(
        config,
        devices=1,
        nodes=1,
        strategy="auto",
        batch_size=config.batch_size // processes,
        sync_batchnorm=False,
        compile_mode="default",
        compile=False,  # compiled code makes its tensors unseen
        pretrained=False,  # the record's word downloads and reads nothing
        weights=None,
        accelerator=device_of(request.accelerator).type,  # type: ignore[arg-type]  # torch's names are ours
    )
    method = parse_stored_method(config.method, request.modules)
    return preflight.peak(
        make_trainer(alone, method, splits, resolve_networks(method, alone, splits), Path(), Listener())
    )


def _jobs(study: Study, questions: EvaluationRequest) -> Iterator[Job]:
    for seed in study.seeds:  # whose data are loaded once for all methods
        for row in (each for each in study.methods if seed in study.results.get(each, {})):
            folder = run_folder(study.folder, row, seed)
            yield EvaluationJob(row, study.config(row, seed), folder, study.folder / "teachers", questions)


def _keep(study: Study, job: Job, outcome: Outcome) -> None:
    if outcome.result is None:
        study.errors[job.row] = f"its measures: {outcome.error}"
