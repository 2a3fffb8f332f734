"""Check a run before it starts: data, model, method, batches, first step, memory and disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter

from torch import Tensor, nn

from selfdistill.data.class_counts import class_counts, images_with_class
from selfdistill.data.examples import TensorSplits
from selfdistill.data.kinds import AnySplits, augmentation_for, describe_example, example_inputs, training_size
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.inputs import Inputs
from selfdistill.inspect.plan import plan
from selfdistill.method import Method
from selfdistill.method.networks import Teacher
from selfdistill.methods import parse_method
from selfdistill.metrics.cost import parameters
from selfdistill.task import SEGMENT, TAG, TaskName
from selfdistill.train import networks as teacher
from selfdistill.train import preflight
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import (
    create_for,
    input_warnings,
    input_words,
    normalized_for,
    require_crop,
    resolve_networks,
)
from selfdistill.train.preflight import Finding
from selfdistill.train.run import load_data, make_trainer
from selfdistill.train.trainer import Trainer

LONG = 1800.0  # seconds of training, above which minutes of compilation may pay
FEW_IMAGES = 5  # of a class, below which it can hardly be learned

# Heading of a plan's line → name of its finding
HEADINGS = {
    "passes": "passes",
    "taps": "taps",
    "dropped": "taps",
    "heads": "heads",
    "memory": "remembers",
    "needs": "needs",
}


def check(config: RunConfig, folder: str | Path = "runs") -> list[Finding]:
    """Check data, model, method, batches, first step, memory and disk of a run; stop at the first failure.

    `folder` is the output folder of the run. Nothing is written.
    """
    run, found = PlannedRun(config, Path(folder)), []
    for name, check_part in CHECKS.items():
        try:
            found += check_part(run)
        except UserError as error:
            return [*found, Finding(name, False, str(error))]
    return found


@dataclass
class PlannedRun:
    """A run that has not started."""

    config: RunConfig
    folder: Path

    @cached_property
    def method(self) -> Method:
        """The parsed method."""
        return parse_method(self.config.method)

    @cached_property
    def splits(self) -> AnySplits:
        """The data set."""
        return load_data(self.config)

    @cached_property
    def student(self) -> nn.Module:
        """An untrained student."""
        config = self.config
        return create_for(config.model, config, self.splits, weights=config.weights)

    @cached_property
    def inputs(self) -> Inputs:
        """Two normalized training examples."""
        return example_inputs(self.splits.train, 2, augmentation_for(self.splits, self.config.size))

    def trainer(self, config: RunConfig) -> Trainer:
        """Build the trainer of one device, with untrained networks in place of trained ones."""
        devices = config.devices * config.nodes
        config = replace(config, devices=1, nodes=1, batch_size=config.batch_size // devices)
        networks = resolve_networks(self.method, config, self.splits)
        return make_trainer(config, self.method, self.splits, networks, self.folder, Listener())


def _data(run: PlannedRun) -> list[Finding]:
    splits = run.splits
    held = f"{len(splits.validation):,} validation, " if splits.validation else ""
    counts = class_counts(splits.train, len(splits.classes))
    words = (
        f"{len(splits.train):,} training, {held}{len(splits.test):,} test {_noun(splits)}, "
        f"{_size(splits, run.config)}; {_counted(counts, run.config.resolved_task.name)}"
    )
    require_crop(run.config, splits)
    augment = normalized_for(run.config, augmentation_for(splits, run.config.size))
    seen = input_words(run.config, splits, augment)
    warned = input_warnings(run.config, augment)
    return [
        Finding("data", True, words),
        *(Finding("input", True, each) for each in [seen] if each),
        *(Finding("input", True, each, remark=True) for each in warned),
        *(Finding("data", True, each, remark=True) for each in _remarks(splits)),
    ]


def _noun(splits: AnySplits) -> str:
    return "examples" if isinstance(splits, TensorSplits) else "images"


def _size(splits: AnySplits, config: RunConfig) -> str:
    if isinstance(splits, TensorSplits):
        return describe_example(splits)
    height, width = training_size(splits, config.size)
    return f"{height}x{width} pixels"


def _counted(counts: Tensor, task: TaskName) -> str:
    """Describe the counts of classes in the training images. counts [C]."""
    if task == SEGMENT:
        shares = 100 * counts / counts.sum()
        return f"{len(counts)} classes with {shares.min():.2g} to {shares.max():.2g} % of the labelled pixels"
    kind = "tags" if task == TAG else "classes"
    return f"{len(counts)} {kind} with {counts.min():,} to {counts.max():,} training images each"


def _remarks(splits: AnySplits) -> Iterator[str]:
    """Sentences on files that were left out and on classes with few images."""
    yield from splits.notes
    train, test = (images_with_class(each, len(splits.classes)) for each in (splits.train, splits.test))
    if (few := train < FEW_IMAGES).any():
        yield f"{_class_names(few, splits)} fewer than {FEW_IMAGES} training images; add some, or remove the class"
    if (untested := test == 0).any():
        yield f"{_class_names(untested, splits)} no test image, so they are not measured; add some"


def _class_names(chosen: Tensor, splits: AnySplits) -> str:
    """Count and first names of chosen classes, with their verb. chosen [K] bool."""
    names = [splits.classes[k] for k in chosen.nonzero().flatten().tolist()]
    more = ", …" if len(names) > 3 else ""
    return (
        f"{len(names)} of {len(chosen)} classes ({', '.join(names[:3])}{more}) {'has' if len(names) == 1 else 'have'}"
    )


def _model(run: PlannedRun) -> list[Finding]:
    found = read_anatomy(run.student, run.inputs, run.config.classifier)
    stages = ", ".join(each.path for each in found.stages) or "no stages"
    head = found.classifier or "no classifier found (pass --classifier if the method needs it)"
    if (logits := found.logits[1]) != len(run.splits.classes):
        raise UserError(
            f"{run.config.model} gives {logits} logits, but {run.splits.name} has {len(run.splits.classes)} classes; "
            "make it give as many"
        )
    words = f"{run.config.model}, {parameters(run.student):,} parameters; {stages}; {head}"
    idle = (
        f"; {len(found.params_without_grad)} parameters get no gradient, such as {found.params_without_grad[0]}"
        if found.params_without_grad
        else ""
    )
    return [Finding("model", True, words + idle)]


def _method(run: PlannedRun) -> list[Finding]:
    networks = resolve_networks(run.method, run.config, run.splits)
    made = plan(
        run.method,
        run.student,
        run.inputs,
        networks,
        run.config.classifier,
        run.config.resolved_task.rows,
        run.config.aux,
        len(run.splits.train),
        run.config.tables,
    )
    return [
        *(Finding(HEADINGS[heading], True, words) for heading, words in made.lines if heading in HEADINGS),
        *(Finding("method", True, words, remark=True) for words in preflight.remarks(run.method, run.config)),
        *(_teacher(name, role, run) for name, role in run.method.networks.items() if isinstance(role, Teacher)),
    ]


def _teacher(name: str, role: Teacher, run: PlannedRun) -> Finding:
    planned = teacher.plan(role, run.config)
    if isinstance(planned, Path):
        _, info = teacher.load_run(planned, teacher.modules_of(run.config))
        teacher.require_classes(info, run.splits, planned)
        return Finding(name, True, f"the run in {planned}")
    return Finding(name, True, f"{planned.model} with {planned.method}, trained first if it does not exist yet")


def _batches(run: PlannedRun) -> list[Finding]:
    config, made = run.config, run.trainer(run.config)
    rows = made.loader.batch_size * config.devices * config.nodes
    short = f", less than the requested {config.batch_size}" if rows < config.batch_size else ""
    steps = max(len(run.splits.train) // rows, 1)
    return [Finding("batches", True, f"{steps:,} steps per epoch, batch size {rows}{short}, {config.length}")]


def _step(run: PlannedRun) -> list[Finding]:
    """Run a training step on a small batch; check that losses are finite and that every parameter gets a gradient."""
    made = run.trainer(replace(run.config, batch_size=preflight.few(run.trainer(run.config))))
    losses = preflight.first_step(made)
    values = ", ".join(f"{name} {loss.item():.3g}" for name, loss in losses.items())
    if not all(loss.isfinite() for loss in losses.values()):
        raise UserError(
            f"the first step gives a non-finite loss: {values}; check the images and the method's arguments"
        )
    idle = [name for name, each in made.distiller.terms.named_parameters() if each.requires_grad and each.grad is None]
    if idle:
        raise UserError(
            f"{idle[0]} gets no gradient in the first step; the loss of a term must use every module that it builds"
        )
    return [Finding("step", True, values)]


def _compile(run: PlannedRun) -> list[Finding]:
    """Advise --compile where the run is long, by the time of a small batch after a first one."""
    if run.config.compile:
        return []
    rows = run.config.batch_size // (run.config.devices * run.config.nodes)
    made = run.trainer(replace(run.config, batch_size=preflight.few(run.trainer(run.config))))
    preflight.first_step(made)
    start = perf_counter()
    preflight.first_step(made)
    each = (perf_counter() - start) * rows / made.loader.batch_size
    seconds = each * run.config.steps_of(max(len(run.splits.train) // run.config.batch_size, 1))
    if seconds < LONG:
        return []
    words = (
        f"the run takes about {seconds / 3600:.1f} hours, long enough for --compile, which takes minutes once; "
        "`selfdistill bench --compile` measures the step from which it pays"
    )
    return [Finding("compile", True, words, remark=True)]


def _room(run: PlannedRun) -> list[Finding]:
    return preflight.room(run.trainer, run.config, run.folder)


CHECKS: dict[str, Callable[[PlannedRun], list[Finding]]] = {
    "data": _data,
    "model": _model,
    "method": _method,
    "batches": _batches,
    "step": _step,
    "compile": _compile,
    "memory": _room,
}
