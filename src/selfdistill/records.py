"""Records of a run: run.json, result.json and a line of log.jsonl."""

from typing import Any, NotRequired, TypedDict


class DataFingerprint(TypedDict):
    """Count, size and digest of the files, or of the images in memory, that a run's data came from."""

    count: int
    bytes: int
    digest: str


class RunInfo(TypedDict):
    """Contents of `run.json`: everything needed to repeat a run or to use its student."""

    config: dict[str, Any]  # `RunConfig.to_json`
    method: str
    resolved: str  # the method with all its arguments
    classes: int
    class_names: list[str]
    size: int  # pixels
    mean: list[float]  # by channel, of pixels from 0 to 1
    std: list[float]
    images: dict[str, int]  # by split
    data_fingerprint: NotRequired[DataFingerprint | None]
    left_out: NotRequired[list[str]]  # notes on files that were not read
    skipped: NotRequired[list[str]]  # names of unreadable images
    versions: dict[str, str]  # by library
    commit: str | None
    machine: dict[str, str | int | None]


class RunResult(TypedDict):
    """Contents of `result.json`: accuracy on the test set after the last epoch and at the best one, and the cost."""

    top1: float  # percent
    top5: NotRequired[float]  # percent; above five classes
    nll: float  # nats
    ece: float  # percent
    validation_top1: NotRequired[float]  # these four with validation images only
    best_validation_top1: NotRequired[float]
    best_epoch: NotRequired[int]
    best_epoch_top1: NotRequired[float]
    method: str
    resolved: str
    model: str
    data: str
    seed: int
    epochs: int
    parameters: int
    added_parameters: int
    step_ms: float
    images_per_second: float
    train_seconds: float


class EpochRow(TypedDict):
    """One line of log.jsonl: an epoch."""

    epoch: int  # from 1
    lr: float  # at its first step
    losses: dict[str, float]  # by term, before their weights; means over the steps
    train_top1: float  # percent
    seconds: float
    images_per_second: float
    validation_top1: NotRequired[float]  # percent
