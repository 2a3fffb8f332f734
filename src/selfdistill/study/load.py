"""A study's folder read back."""

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

    Runs without a result are left out; `missing` lists them. Raises `UserError` where the folder holds no
    study, or study.json lacks something.
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
    """Read the study in a folder, and those in the folders in it, by name.

    Raises `UserError` where there is none, or none has a finished run.
    """
    folder = Path(folder)
    below = sorted(path.parent for path in folder.glob(f"*/{STUDY}"))
    studies = [load(each) for each in [folder] * ((folder / STUDY).is_file() or not below) + below]
    if not any(study.results for study in studies):
        raise UserError(f"no run of the study in '{folder}' is finished; repeat its compare command, which goes on")
    return studies


def missing(study: Study) -> list[tuple[str, int]]:
    """The method and seed of each run that has no result."""
    return [
        (method, seed) for method in study.methods for seed in study.seeds if seed not in study.results.get(method, {})
    ]


def _read(folder: Path) -> Study:
    """Read study.json."""
    said: dict[str, Any] = read_json(folder / STUDY)
    try:
        rows, seeds = tuple(said["methods"]), tuple(said["seeds"])
        dearer = {name: dict(said[name]) for name in ("epochs", "compute") if name in said}  # older files lack them
        return Study(RunConfig.from_json(said["base"]), rows, seeds, folder, **dearer)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / STUDY} is not what compare writes ({type(error).__name__}: {error}); "
            "repeat the compare command, which writes it anew"
        ) from None
