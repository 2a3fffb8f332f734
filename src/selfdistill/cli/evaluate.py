"""`selfdistill evaluate` and `selfdistill export`: metrics and weights of finished runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfdistill.cli.engine_options import Address, Engine, EngineAndListener, Threads, Workers, engine_and_listener
from selfdistill.cli.options import Classifier, Modules, option_type
from selfdistill.cli.panels import EVALUATION
from selfdistill.metrics.catalog import BASIC, METRICS

if TYPE_CHECKING:
    from selfdistill.study.evaluation.request import EvaluationRequest
    from selfdistill.study.study import Study

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a finished run, or of a study.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
Images = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[IMAGES]...",
        help="Folders of images, image files, or tables of paths (.csv, .tsv); arrays (.npz) of a run on tensors.",
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Metrics: basic ({', '.join(BASIC)}), all, or any of "
        f"{', '.join(name for name in METRICS if name not in BASIC)}.",
        rich_help_panel=EVALUATION,
    ),
]
OtherClasses = Annotated[
    str | None,
    typer.Option(help="Data set of other classes, for OOD detection (the metric outside).", rich_help_panel=EVALUATION),
]
TestLimit = Annotated[
    int | None,
    typer.Option(
        help="Test images to evaluate on, as a stratified subset, the same for all runs; default: all.",
        rich_help_panel=EVALUATION,
    ),
]

ACCELERATOR = option_type("accelerator")[1].replace("train", "evaluate")


def evaluate(
    folder: Folder,
    metrics: Metrics = None,
    ood: OtherClasses = None,
    data: Annotated[
        str | None, typer.Option(help="Data set whose test images to evaluate on; default: the run's own.")
    ] = None,
    test_limit: TestLimit = None,
    epsilons: Annotated[
        list[float] | None,
        typer.Option(help="Perturbation sizes of fgsm and pgd, in units of 1/255; default: 2 and 8."),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Skip images of --data and --ood that cannot be read.")
    ] = False,
    classifier: Classifier = None,
    modules: Modules = None,
    accelerator: Annotated[str, typer.Option(help=ACCELERATOR)] = "auto",
    engine: Engine = "local",
    workers: Workers = None,
    threads: Threads = None,
    address: Address = None,
) -> None:
    """Evaluate the student of a finished run, or of each finished run of a study, and store the metrics.

    Metrics are added to metrics.json in the run's folder, or with --data to metrics-DATA.json. For a study, metrics
    that are already stored are not computed again.
    """
    from selfdistill.errors import UserError
    from selfdistill.metrics.adversarial import EPSILONS
    from selfdistill.records import is_run
    from selfdistill.study.evaluation.request import EvaluationRequest
    from selfdistill.study.load import is_study

    names, sizes = tuple(metrics or ("basic",)), tuple(epsilons or EPSILONS)
    request = EvaluationRequest(
        names, ood, data, test_limit, sizes, classifier, accelerator, tuple(modules or ()), skip_unreadable
    )
    if is_run(folder):
        _evaluate_run(folder, request)
    elif is_study(folder):
        _evaluate_study(folder, request, engine_and_listener(engine, workers, threads, address))
    else:
        raise UserError(
            f"'{folder}' holds no run (no run.json) and no study (no study.json); name the folder that train or "
            "compare wrote"
        )


def export(
    folder: RunFolder,
    to: Annotated[str, typer.Option(help="Format: safetensors, onnx or torch-export.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(help="File to write; default: student.* in the run's folder.")] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="With --to onnx: also write a file of 8 bits, calibrated on training images, and compare its top-1.",
        ),
    ] = False,
    modules: Modules = None,
) -> None:
    """Export the student of a finished run without training heads; check its logits and measure its latency."""
    from selfdistill.export import export as write
    from selfdistill.export.student import description_path

    found = write(folder, to, out, int8=int8, modules=tuple(modules or ()))
    print(f"{found.path}: {found.path.stat().st_size:,} bytes; {found.check}")
    print(f"latency: {found.latency}")
    print(f"classes and normalization: its metadata, and {description_path(found.path)}")
    if found.int8:
        print(f"{found.int8.path}: {found.int8.path.stat().st_size:,} bytes; {found.int8.accuracy}")
        print(f"latency: {found.int8.latency}")


def predict(
    folder: RunFolder,
    images: Images = None,
    data: Annotated[str | None, typer.Option(help="Data set with test examples; default: the run's own.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to, or .csv file for IMAGES; default: predictions… in the run's folder."),
    ] = None,
    tta: Annotated[
        str, typer.Option(help="Views of IMAGES to average over: none, flip, five-crop or ten-crop.")
    ] = "none",
    device: Annotated[
        str, typer.Option(help="Device: auto, cpu, gpu, or a name of torch; auto takes a GPU if there is one.")
    ] = "auto",
    modules: Modules = None,
) -> None:
    """Write the predictions of a finished run: a CSV of probabilities, or masks as palette PNGs.

    Without IMAGES they are those of test examples, beside their labels.
    """
    from selfdistill.errors import UserError
    from selfdistill.predict import predict as write

    if images and data is not None:
        raise UserError("--data predicts the test examples of a data set; leave it out, or leave the images out")
    if tta != "none" and not images:
        raise UserError("--tta is for images that are named: selfdistill predict RUN FOLDER --tta flip; leave it out")
    if images:
        _predict_images(folder, images, out, tta, tuple(modules or ()), device)
    else:
        paths = write(folder, out, data=data, modules=tuple(modules or ()), device=device)
        print(paths[0] if len(paths) == 1 else f"{len(paths)} masks in {paths[0].parent}")


def _predict_images(
    folder: Path, images: list[str], out: Path | None, tta: str, modules: tuple[str, ...], device: str
) -> None:
    """Predict images without labels; name those that cannot be read."""
    from selfdistill.predict import predict_images

    found = predict_images(folder, images, out, tta=tta, modules=modules, device=device)
    print(f"{found.path}: {found.images:,} {found.kind}")
    if found.unreadable:
        more = ", …" if found.unreadable > len(found.named) else ""
        print(
            f"cannot read {found.unreadable:,} of them: {', '.join(found.named)}{more}; repair or remove "
            "them; the column error names all"
        )


def show_metrics(study: "Study", data: str | None = None) -> None:
    """Print the metrics of a study: one table per group of metrics, one row per method."""
    from selfdistill.cli.console import show_table
    from selfdistill.report.tables.metrics import header, metric_tables, notes, rows
    from selfdistill.study.evaluation.results import read_metric_table

    found = read_metric_table(study, data)
    for sheet in metric_tables(found):
        print(f"\n{sheet.title}")
        show_table(header(sheet), rows(sheet))
    print("\n" + "\n".join(notes(found)))


def _evaluate_run(folder: Path, request: "EvaluationRequest") -> None:
    """Evaluate one run, metrics that are stored already included, and print the metrics."""
    from selfdistill.cli.console import console
    from selfdistill.cli.run_metrics import format_metrics, skipped_metrics
    from selfdistill.records import read_info, task_in
    from selfdistill.study.evaluation.job import evaluate_run
    from selfdistill.study.evaluation.store import path_of, read
    from selfdistill.train.monitor.listener import Listener

    with console.status("evaluating") as status:

        class StatusLine(Listener):
            def on_note(self, text: str) -> None:
                status.update(f"evaluating {text}")

        found = evaluate_run(folder, request, StatusLine(), recompute=True)
    path, info = path_of(folder, request.data), read_info(folder)
    stored = read(path)
    assert stored is not None  # `evaluate_run` has written it
    print("\n\n".join(format_metrics(found)))
    if "all" in request.metrics and (left := skipped_metrics(found, task_in(info["config"]).name)):
        print(f"left out: {left}")
    images = min(request.limit or stored.images, stored.images)
    few = f"{images:,} of " if images < stored.images else ""
    of = f"{few}{stored.images:,} test images of {stored.data}"
    epoch = "last epoch" if info["config"].get("patience") is None else "best epoch"
    print(f"{of}, {info['method']}, {info['config']['model']}, {epoch}")
    print(f"metrics: {path}")


def _evaluate_study(folder: Path, request: "EvaluationRequest", options: EngineAndListener) -> None:
    """Evaluate the runs of one or more studies, and print the tables; exit status 1 if an evaluation failed."""
    from selfdistill.cli.console import list_left_out, report_failures
    from selfdistill.study.evaluation.job import evaluate_all
    from selfdistill.study.load import load_all, missing

    studies = load_all(folder)
    evaluate_all(studies, request, **options)
    for study in studies:
        if len(studies) > 1:
            print(f"\n{study.folder}")
        show_metrics(study, request.data)
    if left := sum(len(missing(each)) - len(each.left_out) for each in studies):
        print(f"{left} {'run is' if left == 1 else 'runs are'} not finished and not evaluated")
    list_left_out(studies)
    report_failures(studies)
