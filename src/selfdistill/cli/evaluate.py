"""`selfdistill evaluate` and `selfdistill export`: what to do with a finished run."""

from pathlib import Path
from typing import Annotated

import typer

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]


def evaluate(
    folder: RunFolder,
    data: Annotated[str | None, typer.Option(help="Other images to measure on; default: the run's test set.")] = None,
) -> None:
    """Measure a finished run's student: top-1, top-5, NLL and ECE."""
    from dataclasses import replace

    from selfdistill.cli.show import aligned
    from selfdistill.data import Augmentation
    from selfdistill.measure.accuracy import evaluate as measure
    from selfdistill.train.config import RunConfig
    from selfdistill.train.run import load_data
    from selfdistill.train.teacher import load_run, require_classes

    student, facts = load_run(folder)
    config = RunConfig.from_json(facts["config"])
    splits = load_data(replace(config, data=data or config.data, size=facts["size"]))
    require_classes(facts, splits, folder)
    augment = Augmentation(0, False, tuple(facts["mean"]), tuple(facts["std"]))  # those it was trained with
    found = measure(student, splits.test, augment)
    print(aligned([(name, f"{value:.4f}") for name, value in found.items()]))
    print(f"{len(splits.test):,} test images of {splits.name}, {facts['method']}, {config.model}, last epoch")


def export(
    folder: RunFolder,
    to: Annotated[str, typer.Option(help="safetensors, onnx or torch-export.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(help="File to write; default: student.* in the run's folder.")] = None,
) -> None:
    """Write a finished run's student alone, and check it against the student."""
    from selfdistill.deploy import export as write

    path, gap = write(folder, to, out)
    print(f"{path}: {path.stat().st_size:,} bytes; logits differ from the student's by {gap:.1e} at most")
