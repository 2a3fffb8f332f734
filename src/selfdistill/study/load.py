"""Reading of study folders."""

from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.files import glob, is_file
from selfdistill.records import (
    RESULT,
    RUN,
    AnyResult,
    StudyInfo,
    TunedRecipe,
    read_info,
    read_log,
    read_record,
    read_result,
    require_equal,
)
from selfdistill.run_key import RunKey
from selfdistill.schema import short_repr
from selfdistill.study.layout import run_folder
from selfdistill.study.study import Study
from selfdistill.train.config import RunConfig

REPEAT = "re-run the compare command, which rewrites it"
STUDY = "study.json"


def is_study(folder: str | Path) -> bool:
    """Return whether a folder holds a study, or folders of studies."""
    return is_file(Path(folder) / STUDY) or bool(glob(Path(folder), f"*/{STUDY}"))


def load(folder: str | Path) -> Study:
    """Read a study: study.json and the files of its finished runs.

    Runs without a result are left out, and so are those whose files cannot be read, with the reason in `left_out`;
    `missing` lists both. Raises `UserError` where the folder holds no study, or study.json is damaged.
    """
    folder = Path(folder)
    if not is_file(folder / STUDY):
        raise UserError(f"'{folder}' holds no study (no {STUDY}); name the folder that compare prints")
    study = _read(folder)
    for method, key in missing(study):
        try:
            if result := _result(study, method, key):
                study.results.setdefault(method, {})[key] = result
        except UserError as error:
            study.left_out[method, key] = str(error)
    return study


def load_all(folder: str | Path) -> list[Study]:
    """Read the studies in a folder and in its subfolders, sorted by name.

    Raises `UserError` if there is no study, or none has a finished run.
    """
    folder = Path(folder)
    below = [path.parent for path in glob(folder, f"*/{STUDY}")]
    studies = [load(each) for each in [folder] * (is_file(folder / STUDY) or not below) + below]
    if not any(study.results for study in studies):
        broken = next((why for study in studies for why in study.left_out.values()), None)
        raise UserError(
            f"no run of the study in '{folder}' is finished; re-run its compare command, which resumes"
            if broken is None
            else f"no run of the study in '{folder}' can be read: {broken}"
        )
    return studies


def missing(study: Study) -> list[tuple[str, RunKey]]:
    """Return method and key of each run without a result."""
    return [(method, key) for method in study.methods for key in study.keys if key not in study.results.get(method, {})]


def _result(study: Study, method: str, key: RunKey) -> AnyResult | None:
    """Read the result of a run whose other files can be read too; None of an unfinished one."""
    folder, wanted = run_folder(study.folder, method, key), study.config(method, key)
    if not is_file(folder / RESULT):
        return None
    config = RunConfig.from_json(read_info(folder)["config"], folder / RUN).to_json()
    require_equal(config, wanted.to_json(), ("method", "seed", "folds", "fold"), folder / RUN)
    result = read_result(folder, config)
    read_log(folder, result["epochs"], study.task)
    return result


def _read(folder: Path) -> Study:
    """Read study.json."""
    path = folder / STUDY
    content = read_record(path, StudyInfo, REPEAT)
    base = RunConfig.from_json(content["base"], path)
    rows, longer, compute = tuple(content["methods"]), content.get("epochs", {}), content.get("compute", {})
    if unknown := [row for row in (*longer, *compute) if row not in rows]:
        raise UserError(f"{path}: {short_repr(unknown[0])} is not one of its methods; {REPEAT}")
    if without := [row for row in longer if row not in compute]:
        raise UserError(f"{path}: compute of {short_repr(without[0])} is missing; {REPEAT}")
    folds, train_images = content.get("folds"), content.get("train_images")
    if folds != base.folds and folds is not None:
        raise UserError(f"{path}: folds must be {base.folds}, as in its base, but is {folds}; {REPEAT}")
    if folds is not None and not (train_images and content.get("test_images")):
        raise UserError(f"{path}: the numbers of training and test images of its folds are missing; {REPEAT}")
    recipes = content.get("recipes", {})
    if unknown := [row for row in recipes if row not in rows]:
        raise UserError(f"{path}: {short_repr(unknown[0])} of recipes is not one of its methods; {REPEAT}")
    return Study(
        base,
        tuple(dict.fromkeys(rows)),
        tuple(content["seeds"]),
        folder,
        epochs=longer,
        compute=compute,
        recipes={row: _recipe(each) for row, each in recipes.items()},
        test_images=content.get("test_images"),
        folds=folds,
        train_images=train_images,
    )


def _recipe(found: TunedRecipe) -> TunedRecipe:
    """Return the known keys of a tuned recipe."""
    return {"method": found["method"], "lr": found["lr"], "weight_decay": found["weight_decay"]}
