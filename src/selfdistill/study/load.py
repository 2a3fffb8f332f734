"""Reading of study folders."""

from pathlib import Path
from typing import Any, cast

from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.records import RunResult
from selfdistill.study.layout import run_folder
from selfdistill.study.study import Study
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import RESULT

STUDY = "study.json"


def is_study(folder: str | Path) -> bool:
    """Return whether a folder holds a study, or folders of studies."""
    return (Path(folder) / STUDY).is_file() or any(Path(folder).glob(f"*/{STUDY}"))


def load(folder: str | Path) -> Study:
    """Read a study: study.json and the results of its runs, each file once.

    Runs without a result are left out; `missing` lists them. Raises `UserError` if the folder holds no study, or
    study.json is incomplete.
    """
    folder = Path(folder)
    if not (folder / STUDY).is_file():
        raise UserError(f"'{folder}' holds no study (no {STUDY}); name the folder that compare wrote with --out")
    study = _read(folder)
    for method, seed in missing(study):
        path = run_folder(folder, method, seed) / RESULT
        if path.is_file():
            study.results.setdefault(method, {})[seed] = cast(RunResult, read_json(path))
    return study


def load_all(folder: str | Path) -> list[Study]:
    """Read the studies in a folder and in its subfolders, sorted by name.

    Raises `UserError` if there is no study, or none has a finished run.
    """
    folder = Path(folder)
    below = sorted(path.parent for path in folder.glob(f"*/{STUDY}"))
    studies = [load(each) for each in [folder] * ((folder / STUDY).is_file() or not below) + below]
    if not any(study.results for study in studies):
        raise UserError(f"no run of the study in '{folder}' is finished; re-run its compare command, which resumes")
    return studies


def missing(study: Study) -> list[tuple[str, int]]:
    """Return method and seed of each run without a result."""
    return [
        (method, seed) for method in study.methods for seed in study.seeds if seed not in study.results.get(method, {})
    ]


def _read(folder: Path) -> Study:
    """Read study.json."""
    content: dict[str, Any] = read_json(folder / STUDY)
    try:
        rows, seeds = tuple(content["methods"]), tuple(content["seeds"])
        compute_fields = {
            name: dict(content[name]) for name in ("epochs", "compute") if name in content
        }  # older files lack them
        images = content.get("test_images")
        return Study(RunConfig.from_json(content["base"]), rows, seeds, folder, **compute_fields, test_images=images)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / STUDY} is not what compare writes ({type(error).__name__}: {error}); "
            "re-run the compare command, which rewrites it"
        ) from None
