"""`selfdistill evaluate` and `selfdistill export`: what to do with a finished run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from selfdistill.cli.options import Classifier

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
Names = Annotated[
    list[str] | None,
    typer.Option(
        help="basic (accuracy, calibration), all, or of: selective, recall, knn, spread, classes, fgsm, pgd, "
        "corruption, outside, cost."
    ),
]


def evaluate(
    folder: RunFolder,
    measures: Names = None,
    ood: Annotated[str | None, typer.Option(help="Images of other classes, for the measure outside.")] = None,
    data: Annotated[str | None, typer.Option(help="Other images to measure on; default: the run's test set.")] = None,
    epsilons: Annotated[
        list[float] | None, typer.Option(help="Of fgsm and pgd, in steps of 255; default: 2 and 8.")
    ] = None,
    classifier: Classifier = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, gpu, cuda or mps.")] = "auto",
) -> None:
    """Measure a finished run's student, and keep the numbers in its folder.

    They are added to measures.json; of other images (--data) to a file of their own, measures-DATA.json.
    """
    from dataclasses import replace

    from selfdistill.cli.sheet import left_out, shown
    from selfdistill.cli.show import console
    from selfdistill.data import Augmentation, load
    from selfdistill.measure import evaluate as measure
    from selfdistill.measure.attack import EPSILONS
    from selfdistill.train.config import RunConfig
    from selfdistill.train.run import load_data
    from selfdistill.train.teacher import load_run, require_classes

    device = _device(accelerator)
    student, facts = load_run(folder)
    config = RunConfig.from_json(facts["config"])
    splits = load_data(replace(config, data=data or config.data, size=facts["size"], label_noise=0.0))
    require_classes(facts, splits, folder)
    with console.status("measuring") as status:
        found = measure(
            student.to(device),
            splits,
            which=[*(measures or ["basic"]), *(["outside"] if ood else [])],
            ood=load(ood, size=facts["size"]) if ood else None,
            augment=Augmentation(0, False, tuple(facts["mean"]), tuple(facts["std"])),  # those it was trained with
            classifier=classifier or config.classifier,
            epsilons=epsilons or EPSILONS,
            tell=lambda name: status.update(f"measuring {name}"),
        )
    if "cost" in found:
        found["cost"] |= _training_cost(folder)
    print("\n\n".join(shown(found)))
    if measures and "all" in measures and (left := left_out(found)):
        print(f"left out: {left}")
    print(f"{len(splits.test):,} test images of {splits.name}, {facts['method']}, {config.model}, last epoch")
    print(f"measures: {_keep(found, folder, splits.name, len(splits.test), own=data is None)}")


def export(
    folder: RunFolder,
    to: Annotated[str, typer.Option(help="safetensors, onnx or torch-export.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(help="File to write; default: student.* in the run's folder.")] = None,
) -> None:
    """Write a finished run's student alone, and check it against the student."""
    from selfdistill.deploy import export as write

    path, gap = write(folder, to, out)
    print(f"{path}: {path.stat().st_size:,} bytes; logits differ from the student's by {gap:.1e} at most")


def _device(accelerator: str) -> Any:
    """The device of this name; raises `UserError` where there is none."""
    import torch

    from selfdistill.errors import UserError

    there = torch.accelerator.current_accelerator(check_available=True)
    kinds = {"cpu": torch.device("cpu"), "auto": there or torch.device("cpu")}
    if there:
        kinds |= {"gpu": there, there.type: there}
    if accelerator not in kinds:
        raise UserError(f"cannot measure on {accelerator!r}; this machine has {', '.join(kinds)}")
    return kinds[accelerator]


def _training_cost(folder: Path) -> dict[str, Any]:
    """What result.json says of the cost of a training step."""
    from selfdistill.train.files import read_json
    from selfdistill.train.teacher import RESULT

    result = read_json(folder / RESULT)
    return {name: result[name] for name in ("added_parameters", "step_ms")}


def _keep(found: dict[str, Any], folder: Path, data: str, images: int, *, own: bool) -> Path:
    """Add measures to what the folder holds of the same images."""
    from selfdistill.train.files import folder_name, read_json, write_json

    path = folder / ("measures.json" if own else f"measures-{folder_name(data)}.json")
    before = read_json(path)["measures"] if path.exists() else {}
    write_json(path, {"data": data, "images": images, "measures": before | found})
    return path
