"""A study over folds: its runs, its files, its statistics, and what is refused."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.predict import predict
from selfdistill.report import write as write_report
from selfdistill.report.runs import runs_of
from selfdistill.report.tables.accuracy import footer, header, markdown, rows
from selfdistill.report.text.commands import compare_command, train_command
from selfdistill.run_key import FoldSeed
from selfdistill.study import Grid, Study, compare_all
from selfdistill.study.analysis.statistics import Difference
from selfdistill.study.analysis.summary import summaries
from selfdistill.study.evaluation.job import evaluate_all
from selfdistill.study.evaluation.request import EvaluationRequest
from selfdistill.study.evaluation.results import read_metric_table
from selfdistill.study.load import load, missing
from selfdistill.trackers.run_records import RunRecords
from selfdistill.train.config import RunConfig
from selfdistill.train.run import load_data, run, with_data
from tests.helpers.image_files import class_folders

METHODS = ["ce()", "label_smoothing()"]
KEYS = [FoldSeed(0, 0), FoldSeed(0, 1), FoldSeed(1, 0), FoldSeed(1, 1)]


def recipe(root, **changes):
    return RunConfig("ce()", **{"data": f"folder:{root}", "model": "resnet8", "epochs": 1, "batch_size": 8} | changes)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("images"), {"ant": 11, "cat": 10})


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    grid = Grid(METHODS, seeds=[0, 1], recipe=recipe(root), folds=2)
    (study,) = compare_all(grid, tmp_path_factory.mktemp("study"))
    return study


def test_each_fold_is_tested_with_each_seed(made):
    assert made.keys == KEYS
    assert {row: list(found) for row, found in made.results.items()} == dict.fromkeys(METHODS, KEYS)
    places = {path.parent.name for path in made.folder.rglob("result.json")}
    assert places == {"fold0-seed0", "fold0-seed1", "fold1-seed0", "fold1-seed1"}
    infos = [read_json(made.folder / "runs" / "ce" / f"fold{fold}-seed0" / "run.json") for fold in range(2)]
    assert [each["config"]["fold"] for each in infos] == [0, 1]
    assert sorted(each["images"]["test"] for each in infos) == [10, 11]
    assert all(sum(each["images"].values()) == 21 for each in infos)


def test_the_files_of_a_study_with_folds(made):
    facts = read_json(made.folder / "study.json")
    assert (facts["folds"], facts["train_images"] + facts["test_images"]) == (2, 21)
    with (made.folder / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(each["method"], each["fold"], each["seed"]) for each in lines][:3] == [
        ("ce()", "0", "0"),
        ("ce()", "0", "1"),
        ("ce()", "1", "0"),
    ]
    found = load(made.folder)
    assert (found.folds, found.results, found.overlap) == (2, made.results, made.overlap)
    assert markdown(found) == markdown(made)


def test_statistics_are_of_the_means_of_folds(made):
    means = {
        row: [sum(made.scores(row)[FoldSeed(fold, seed)] for seed in (0, 1)) / 2 for fold in range(2)]
        for row in METHODS
    }
    base, other = summaries(made)
    assert (base.score.mean, base.score.n) == (pytest.approx(sum(means["ce()"]) / 2), 2)
    wanted = Difference.paired(means[METHODS[1]], means["ce()"], made.one_image, made.overlap)
    assert other.against.difference == wanted
    assert wanted.overlap == made.test_images / made.train_images


def test_the_tables_say_so(made):
    words = "\n".join(footer(made))
    assert "2 folds, seeds 0 to 1; test set, last epoch, mean ± standard deviation over folds" in words
    assert "over shared folds in points" in words
    assert "corrected resampled t-test, Holm-corrected" in words
    assert "s * sqrt(1/J + " in words
    assert "seeds needed" not in markdown(made)
    assert "fold correlation" in markdown(made)
    assert [line[header(made).index("n")] for line in rows(made)] == ["2", "2"]


def test_a_seeds_study_says_nothing_of_folds(root):
    study = Study(recipe(root), ("ce()",), (0, 1), Path("runs"))
    assert "folds" not in "\n".join(footer(study))
    assert "folds" not in study.to_json()
    assert (study.overlap, study.unit, study.keys) == (0.0, "seed", [0, 1])


def test_the_page_and_its_commands(made, tmp_path):
    write_report([made], tmp_path, pictures=())
    page = (tmp_path / "report.html").read_text()
    assert "Each of the 2 folds is the test set once" in page
    assert "With only 2 folds" in page
    assert "fold 1, seed 0</a> <span>" in page
    assert "over seeds" not in page
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0].endswith(",value,fold")
    assert "--seeds 2 --folds 2 --data" in compare_command(made)
    command = train_command(runs_of(made)["ce()"][2])
    assert "--seed 0 --folds 2 --fold 1 --data" in command
    assert command.endswith("--out ce-fold1-seed0")


def test_an_interrupted_study_goes_on(made, tmp_path):
    study = load(made.folder)
    lost = made.folder / "runs" / "ce" / "fold1-seed0" / "result.json"
    content = lost.read_bytes()
    lost.unlink()
    assert missing(load(made.folder)) == [("ce()", FoldSeed(1, 0))]
    stamps = {path: path.stat().st_mtime_ns for path in made.folder.rglob("result.json")}
    compare_all(Grid(METHODS, seeds=[0, 1], recipe=replace(made.base, folds=None), folds=2), made.folder)
    after = {path: path.stat().st_mtime_ns for path in made.folder.rglob("result.json")}
    assert after.keys() - stamps.keys() == {lost}
    assert {path: after[path] for path in stamps} == stamps
    assert read_json(lost)["top1"] == study.results["ce()"][FoldSeed(1, 0)]["top1"]
    lost.write_bytes(content)


def test_metrics_are_of_all_folds(made):
    evaluate_all([made], EvaluationRequest(("basic",), accelerator="cpu"))
    assert not made.errors
    table = read_metric_table(made)
    assert (table.mismatched, table.limited) == (0, {})
    assert list(table.values["calibration.brier"]["ce()"]) == KEYS


def test_a_finished_run_of_a_fold_is_used_as_others(made, tmp_path):
    folder = made.folder / "runs" / "ce" / "fold1-seed0"
    images = read_json(folder / "run.json")["images"]["test"]
    (table,) = predict(folder, tmp_path)
    assert len(table.read_text().splitlines()) == images + 1
    assert sd.load(folder).classes == ("ant", "cat")
    assert RunRecords(folder, "study").name == "ce(), resnet8, fold 1 of 2, seed 0"


def test_teachers_are_trained_on_their_fold(root, tmp_path):
    (study,) = compare_all(Grid(["ce()", "kd()"], seeds=[0], recipe=recipe(root), folds=2), tmp_path)
    assert not study.errors
    infos = [read_json(path) for path in sorted((tmp_path / "teachers").rglob("run.json"))]
    assert sorted(each["config"]["fold"] for each in infos) == [0, 1]


def test_a_teacher_of_another_fold_is_refused(made, root, tmp_path):
    teacher = made.folder / "runs" / "ce" / "fold1-seed0"
    words = r"was trained for fold 1 of 2 of .* and has seen test images of fold 0 of 2; name a run of the same fold"
    with pytest.raises(UserError, match=words):
        compare_all(Grid([f"kd(teacher='{teacher}')"], seeds=[0], recipe=recipe(root), folds=2), tmp_path)
    own = replace(recipe(root, folds=2, fold=1), method=f"kd(teacher='{teacher}')")
    assert 0 <= run(own, tmp_path / "a")["top1"] <= 100
    with pytest.raises(UserError, match="has seen test images of another test set"):
        run(replace(own, folds=None, fold=0, test=0.2), tmp_path / "b")


def test_a_run_of_another_fold_is_another_run(root, tmp_path):
    run(recipe(root, folds=2), tmp_path / "a")
    with pytest.raises(UserError, match="holds a run with another fold; choose another --out"):
        run(recipe(root, folds=2, fold=1), tmp_path / "a")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folds": 1}, "folds must be 2 or more, but is 1"),
        ({"folds": 5, "fold": 5}, "fold must be from 0 to 4, but is 5"),
        ({"fold": 1}, "fold must be left out without folds, but is 1"),
        ({"folds": 5, "test": 0.2}, "folds must be left out with --test: each fold is the test set once, but is 5"),
    ],
)
def test_folds_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(UserError, match=words):
        RunConfig("ce()", **changes)


def test_masks_have_no_folds():
    with pytest.raises(UserError, match="shapes:segment.* has its own test part, so --folds has nothing to draw"):
        load_data(RunConfig("ce()", data="shapes:segment,size=8,train=4,test=2", folds=2))


def test_other_data_have_their_own_test_set(root):
    config = with_data(recipe(root, folds=2, fold=1), 8, "fake:classes=2,size=8,train=4,test=3")
    assert len(load_data(config).test) == 3


def test_a_grid_has_one_choice_of_folds():
    with pytest.raises(UserError, match="its recipe has a fold already; leave one of both out"):
        Grid(["ce()"], recipe=RunConfig("ce()", folds=3), folds=3)
    with pytest.raises(UserError, match="folds must be 2 or more, but is 0"):
        Grid(["ce()"], folds=0)
    assert Grid(["ce()"], folds=3).folder.name == "digits-3folds-resnet8-20epochs"


def test_a_record_without_the_fields_has_no_folds():
    values = RunConfig("ce()").to_json()
    assert (values.pop("folds"), values.pop("fold")) == (None, 0)
    assert RunConfig.from_json(values) == RunConfig("ce()")


def test_a_study_file_whose_folds_do_not_fit_is_refused(made, tmp_path):
    import json

    facts = read_json(made.folder / "study.json")
    for changes, words in (
        ({"folds": 3}, "folds must be 2, as in its base, but is 3"),
        ({"train_images": None}, "train_images must be"),
    ):
        (tmp_path / "study.json").write_text(json.dumps(facts | changes))
        with pytest.raises(UserError, match=words):
            load(tmp_path)
