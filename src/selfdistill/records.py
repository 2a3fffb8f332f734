"""Records of a run and of a study, and the reader that checks them: run.json, result.json, log.jsonl, study.json."""

from collections.abc import Iterable, Mapping
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict, TypeVar, cast

from selfdistill.errors import UserError
from selfdistill.files import is_file, parse_json, read_json, read_text
from selfdistill.schema import Constraint, above, between, mismatches, short_repr
from selfdistill.task import CLASSIFY, SEGMENT, TAG, TASKS, Task

RUN, RESULT, LOG = "run.json", "result.json", "log.jsonl"
WAY_OUT = "remove the run's folder and re-run the command that made it"

Interpolation = Literal["bilinear", "bicubic"]

Percent = Annotated[float, between(0, 100)]
Amount = Annotated[float, between(0, 10**15)]
Loss = Annotated[float, between(-(10**15), 10**15)]
Duration = Annotated[float, above(0, 10**12)]
Count = Annotated[int, between(0, 10**15, "whole number")]
Ordinal = Annotated[int, between(1, 10**9, "whole number")]
Seed = Annotated[int, between(0, 2**63 - 1, "whole number")]
Channels = Annotated[list[float], Constraint("a list of one number or more", lambda values: len(values) > 0)]
Deviations = Annotated[
    list[float],
    Constraint("a list of numbers above 0", lambda values: len(values) > 0 and min(values) > 0),
]


class DataFingerprint(TypedDict):
    """Count, size and digest of the files, or of the images in memory, that a run's data came from."""

    count: Count
    bytes: Count
    digest: str


class RunInfo(TypedDict):
    """Contents of `run.json`: everything needed to repeat a run or to use its student."""

    config: dict[str, Any]  # `RunConfig.to_json`
    recipe: NotRequired[str | None]  # name of the recipe that values of `config` were taken from
    method: str
    resolved: str  # the method with all its arguments
    classes: Annotated[int, between(1, 1_000_000, "whole number")]  # or tags
    class_names: list[str]
    size: Annotated[int, between(1, 4096, "whole number")]  # pixels
    sides: NotRequired[list[Ordinal]]  # height and width in pixels; older files have squares
    mean: Channels | dict[str, list[float]]  # by channel, of pixels from 0 to 1; of tensors by input
    std: Deviations | dict[str, list[float]]
    # where mean and std come from: "data", or weights; older files have those of the data
    normalization: NotRequired[str]
    crop_pct: NotRequired[Annotated[float, above(0, 1)]]  # of test images: shares of the shorter side; older files: 1
    interpolation: NotRequired[Interpolation]
    images: dict[str, Count]  # by split
    class_weights: NotRequired[dict[str, Amount]]  # in losses of labels, by class; absent where equal
    data_fingerprint: NotRequired[DataFingerprint | None]
    left_out: NotRequired[list[str]]  # notes on files that were not read
    skipped: NotRequired[list[str]]  # names of unreadable images
    versions: dict[str, str]  # by library
    commit: str | None
    machine: dict[str, str | int | None]


class RunSummary(TypedDict):
    """Keys that the results of all tasks share: the run and its cost."""

    best_epoch: NotRequired[Ordinal]  # with validation images only, as is all else of validation and the best epoch
    method: str
    resolved: str
    model: str
    data: str
    seed: Seed
    epochs: Ordinal  # begun: fewer than configured where patience ended
    parameters: Count
    added_parameters: Count
    step_ms: Duration
    images_per_second: Amount
    train_seconds: Amount


class RunResult(RunSummary):
    """Contents of `result.json`: accuracy on the test set after the last epoch and at the best one, and the cost."""

    top1: Percent
    top5: NotRequired[Percent]  # above five classes
    nll: Amount  # nats
    ece: Percent
    validation_top1: NotRequired[Percent]
    best_validation_top1: NotRequired[Percent]
    best_epoch_top1: NotRequired[Percent]


class SegmentationResult(RunSummary):
    """Contents of `result.json` of a segmentation run: mean IoU on the test set in place of accuracy."""

    miou: Percent
    pixel_accuracy: Percent
    mean_class_accuracy: Percent
    nll: Amount  # nats
    ece: Percent
    classes: Ordinal  # in the mean IoU
    validation_miou: NotRequired[Percent]
    best_validation_miou: NotRequired[Percent]
    best_epoch_miou: NotRequired[Percent]


class TagResult(RunSummary):
    """Contents of `result.json` of a run with tags: mean average precision on the test set in place of accuracy."""

    map: Percent
    micro_f1: Percent
    macro_f1: Percent
    tags_left_out: Count  # without a positive test image
    validation_map: NotRequired[Percent]
    best_validation_map: NotRequired[Percent]
    best_epoch_map: NotRequired[Percent]


AnyResult: TypeAlias = RunResult | SegmentationResult | TagResult


class EpochSummary(TypedDict):
    """Keys that the epochs of all tasks share."""

    epoch: Ordinal
    lr: Amount  # at its first step
    losses: dict[str, Loss]  # by term, before their weights; means over the steps
    seconds: Amount
    images_per_second: Amount
    weights: NotRequired[dict[str, Amount]]  # of terms, from the next epoch on; of a run that balances them


class EpochRow(EpochSummary):
    """One line of log.jsonl: an epoch."""

    train_top1: Percent
    validation_top1: NotRequired[Percent]


class SegmentationEpoch(EpochSummary):
    """One line of log.jsonl of a segmentation run."""

    train_pixel_accuracy: Percent
    validation_miou: NotRequired[Percent]


class TagEpoch(EpochSummary):
    """One line of log.jsonl of a run with tags."""

    train_tag_accuracy: Percent
    validation_map: NotRequired[Percent]


AnyEpoch: TypeAlias = EpochRow | SegmentationEpoch | TagEpoch


RESULTS: dict[str, type] = {CLASSIFY: RunResult, SEGMENT: SegmentationResult, TAG: TagResult}
EPOCHS: dict[str, type] = {CLASSIFY: EpochRow, SEGMENT: SegmentationEpoch, TAG: TagEpoch}


class TunedRecipe(TypedDict):
    """The settings of a study's row that a search has chosen: fields of `RunConfig`."""

    method: str
    lr: Duration
    weight_decay: Amount


class StudyInfo(TypedDict):
    """Contents of `study.json`: the grid of a study."""

    methods: Annotated[list[str], Constraint("a list of one method or more", lambda values: len(values) > 0)]
    seeds: Annotated[list[Seed], Constraint("a list of one seed or more", lambda values: len(values) > 0)]
    base: dict[str, Any]  # `RunConfig.to_json`
    epochs: NotRequired[dict[str, Ordinal]]  # of the rows at equal compute; older files lack it
    compute: NotRequired[dict[str, Amount]]
    recipes: NotRequired[dict[str, TunedRecipe]]  # of tuned rows
    test_images: NotRequired[Annotated[int, between(1, 10**9, "whole number")] | None]
    folds: NotRequired[Annotated[int, between(2, 10**9, "whole number")]]  # absent without folds, as is the next
    train_images: NotRequired[Ordinal]


Record = TypeVar("Record")


def read_record(path: Path, kind: type[Record], way_out: str) -> Record:
    """Read a JSON file of this kind.

    Raises `UserError` with the file, the key, the value found, the values that fit, and the way out.
    """
    return checked(read_json(path), kind, path, way_out)


def is_run(folder: str | Path) -> bool:
    """Return whether a folder holds a run."""
    return is_file(Path(folder) / RUN)


def read_info(folder: Path) -> RunInfo:
    """Read run.json; `RunConfig.from_json` reads the configuration in it. Raises `UserError`."""
    info = read_record(folder / RUN, RunInfo, WAY_OUT)
    classes, names = info["classes"], len(info["class_names"])
    if classes != names:
        raise UserError(f"{folder / RUN}: {classes} classes must have as many class_names, not {names}; {WAY_OUT}")
    return info


def score_of(record: AnyResult, task: Task) -> float:
    """Return the score of a result, in percent."""
    return number(record, task.score)


def number(record: Mapping[str, object], key: str) -> float:
    """Return a number of a record by a key that depends on the task."""
    return cast(float, record[key])


def task_of_epoch(row: AnyEpoch) -> Task:
    """Return the task of a row of log.jsonl, by the key of its accuracy in training."""
    return next(task for task in TASKS.values() if task.training in row)


def task_in(config: Mapping[str, object]) -> Task:
    """Return the task in `RunConfig.to_json`; older files have none, and classify."""
    return TASKS.get(str(config.get("task")), TASKS[CLASSIFY])


def read_result(folder: Path, config: Mapping[str, object]) -> AnyResult:
    """Read the result of a run of this configuration. Raises `UserError`, also for the result of another run."""
    result: AnyResult = read_record(folder / RESULT, RESULTS[task_in(config).name], WAY_OUT)
    require_equal(result, config, ("method", "model", "data", "seed"), folder / RESULT)
    epochs, early = ceil(cast(float, config["epochs"])), config.get("patience") is not None
    if config.get("steps") is None and not (early and result["epochs"] < epochs):
        require_equal(result, {"epochs": epochs}, ("epochs",), folder / RESULT)
    return result


def read_log(folder: Path, epochs: int, task: Task = TASKS[CLASSIFY]) -> list[AnyEpoch]:
    """Read the rows of a finished run's log.jsonl, one for each epoch; none without a file. Raises `UserError`."""
    path = folder / LOG
    lines = (read_text(path) or "").splitlines()
    rows = [_row(line, number, path, task) for number, line in enumerate(lines, 1)]
    if rows and [row["epoch"] for row in rows] != list(range(1, epochs + 1)):
        raise UserError(f"{path}: the rows must be those of epochs 1 to {epochs}, each once; {WAY_OUT}")
    return rows


def require_equal(
    found: Mapping[str, object], wanted: Mapping[str, object], keys: Iterable[str], source: object
) -> None:
    """Raise `UserError` if a record belongs to another run; `wanted` is the configuration of the run."""
    for key in keys:
        if found[key] != wanted[key]:
            values = f"must be {short_repr(wanted[key])}, but is {short_repr(found[key])}"
            raise UserError(f"{source} is of another run: {key} {values}; {WAY_OUT}")


def checked(values: object, kind: type[Record], source: object, way_out: str) -> Record:
    """Return the values as a record of this kind. Raises `UserError` if they do not fit."""
    if wrong := next(mismatches(values, kind), None):
        raise UserError(f"{source}: {wrong}; {way_out}")
    return cast(Record, values)


def _row(line: str, number: int, path: Path, task: Task) -> AnyEpoch:
    source = f"line {number} of {path}"
    try:
        values: object = parse_json(line)
    except ValueError as error:
        raise UserError(f"cannot read {source}: {error}; {WAY_OUT}") from None
    row: AnyEpoch = checked(values, EPOCHS[task.name], source, WAY_OUT)
    return row
