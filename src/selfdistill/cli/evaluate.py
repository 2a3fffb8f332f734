"""`selfdistill evaluate` and `selfdistill export`: what to do with a finished run, or all of a study."""

from pathlib import Path
from typing import Annotated, Any

import typer

from selfdistill.cli.engine_options import Address, Engine, Threads, Workers, engine_and_watch
from selfdistill.cli.options import Classifier

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a finished run, or of a study.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
Names = Annotated[
    list[str] | None,
    typer.Option(
        help="basic (accuracy, calibration), all, or of: selective, recall, knn, spread, classes, fgsm, pgd, "
        "corruption, outside, cost."
    ),
]
Strange = Annotated[str | None, typer.Option(help="Images of other classes, for the measure outside.")]
TestLimit = Annotated[
    int | None, typer.Option(help="Test images to measure on, stratified, the same for all runs; default: all.")
]


def evaluate(
    folder: Folder,
    measures: Names = None,
    ood: Strange = None,
    data: Annotated[str | None, typer.Option(help="Other images to measure on; default: the run's test set.")] = None,
    test_limit: TestLimit = None,
    epsilons: Annotated[
        list[float] | None, typer.Option(help="Of fgsm and pgd, in steps of 255; default: 2 and 8.")
    ] = None,
    classifier: Classifier = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, gpu, cuda or mps.")] = "auto",
    engine: Engine = "local",
    workers: Workers = None,
    threads: Threads = None,
    address: Address = None,
) -> None:
    """Measure a finished run's student, or those of all finished runs of a study, and keep the numbers.

    They are added to measures.json in each run's folder; of other images (--data) to a file of their own,
    measures-DATA.json. What the runs of a study hold already is not measured again.
    """
    from selfdistill.errors import UserError
    from selfdistill.metrics import BASIC
    from selfdistill.metrics.adversarial import EPSILONS
    from selfdistill.study.evaluation.request import EvaluationRequest
    from selfdistill.study.load import is_study
    from selfdistill.train.networks import is_run

    names, sizes = tuple(measures or BASIC), tuple(epsilons or EPSILONS)
    questions = EvaluationRequest(names, ood, data, test_limit, sizes, classifier, accelerator)
    if is_run(folder):
        _evaluate_run(folder, questions)
    elif is_study(folder):
        _evaluate_study(folder, questions, engine_and_watch(engine, workers, threads, address))
    else:
        raise UserError(
            f"'{folder}' holds no run (no run.json) and no study (no study.json); name the folder that train or "
            "compare wrote"
        )


def export(
    folder: RunFolder,
    to: Annotated[str, typer.Option(help="safetensors, onnx or torch-export.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(help="File to write; default: student.* in the run's folder.")] = None,
) -> None:
    """Write a finished run's student alone, and check it against the student."""
    from selfdistill.export import export as write

    path, gap = write(folder, to, out)
    print(f"{path}: {path.stat().st_size:,} bytes; logits differ from the student's by {gap:.1e} at most")


def show_measures(study: Any, data: str | None = None) -> None:
    """Print a study's measures: a table for each kind, methods by numbers."""
    from selfdistill.cli.console import show_table
    from selfdistill.report.tables.metrics import header, notes, rows, sheets
    from selfdistill.study.evaluation.results import scores

    found = scores(study, data)
    for sheet in sheets(found):
        print(f"\n{sheet.title}")
        show_table(header(sheet), rows(sheet))
    print("\n" + "\n".join(notes(found)))


def _evaluate_run(folder: Path, questions: Any) -> None:
    """Measure one run, whatever it holds, and print its numbers."""
    from selfdistill.cli.console import console
    from selfdistill.cli.run_metrics import left_out, shown
    from selfdistill.files import read_json
    from selfdistill.study.evaluation.job import measure
    from selfdistill.study.evaluation.store import path_of, read
    from selfdistill.train.monitor.progress import Silent

    with console.status("measuring") as status:

        class Told(Silent):
            def note(self, text: str) -> None:
                status.update(f"measuring {text}")

        found = measure(folder, questions, Told(), anew=True)
    path, facts = path_of(folder, questions.data), read_json(folder / "run.json")
    held = read(path)
    assert held is not None  # something was measured
    print("\n\n".join(shown(found)))
    if "all" in questions.measures and (left := left_out(found)):
        print(f"left out: {left}")
    images = min(questions.limit or held.images, held.images)
    few = f"{images:,} of " if images < held.images else ""
    of = f"{few}{held.images:,} test images of {held.data}"
    print(f"{of}, {facts['method']}, {facts['config']['model']}, last epoch")
    print(f"measures: {path}")


def _evaluate_study(folder: Path, questions: Any, making: dict[str, Any]) -> None:
    """Measure the runs of a study or of several, and print the tables; exit status 1 where a run could not be."""
    from selfdistill.cli.console import end_of
    from selfdistill.study.evaluation.job import measure_all
    from selfdistill.study.load import load_all, missing

    studies = load_all(folder)
    measure_all(studies, questions, **making)
    for study in studies:
        if len(studies) > 1:
            print(f"\n{study.folder}")
        show_measures(study, questions.data)
    if left := sum(len(missing(each)) for each in studies):
        print(f"{left} {'run is' if left == 1 else 'runs are'} not finished and not measured")
    end_of(studies)
