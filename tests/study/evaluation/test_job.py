"""Evaluation of a study's runs: each metric once, by any engine, with the results of a direct evaluation."""

import json
import re
import shutil
from dataclasses import replace

import pytest

from selfdistill import data
from selfdistill.bench.candidate import Candidate
from selfdistill.cli.app import main
from selfdistill.data.subsets import stratified
from selfdistill.errors import UserError
from selfdistill.metrics import METRICS, evaluate
from selfdistill.metrics.catalog import of_task
from selfdistill.study import Grid, RunConfig, compare, compare_all
from selfdistill.study.engine.processes import ProcessEngine
from selfdistill.study.evaluation import job
from selfdistill.study.evaluation.job import evaluate_all
from selfdistill.study.evaluation.request import EvaluationRequest
from selfdistill.study.layout import run_folder
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import load_run

BASE = RunConfig("ce()", limit=100, epochs=1, batch_size=32, accelerator="cpu")
OOD = "fake:classes=10,size=8,test=40"
FEW = EvaluationRequest(("basic", "classes", "fgsm"), OOD, limit=60, accelerator="cpu")


class RecordingListener(Listener):
    def __init__(self):
        self.starts, self.notes, self.ends = [], [], []

    def on_study_start(self, rows, done, jobs):
        self.starts.append((done, jobs))

    def for_job(self, name):
        return NoteRecorder(row_of(name), self.notes)

    def on_job_end(self, job):
        self.ends.append((row_of(job.name), job.summary.removeprefix("failed: ")))


class NoteRecorder(Listener):
    def __init__(self, row, notes):
        self.row, self.notes = row, notes

    def on_note(self, text):
        self.notes.append((self.row, text))


def row_of(name):
    return name.removeprefix("metrics of ").split(",")[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return compare(["ce()", "byot()"], BASE, range(2), tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(finished, tmp_path):
    """A copy without stored metrics."""
    shutil.copytree(finished.folder, tmp_path / "study")
    return replace(finished, folder=tmp_path / "study", errors={})


def stored(study, method, seed, name="metrics.json"):
    return json.loads((run_folder(study.folder, method, seed) / name).read_text())


def test_every_run_is_evaluated_on_the_same_subset_with_the_results_of_a_direct_evaluation(study):
    recorded = RecordingListener()
    evaluate_all([study], FEW, listener=recorded)
    assert recorded.starts == [(0, 4)]
    assert recorded.ends == [(row, "6 computed") for row in ("ce()", "byot()") * 2]
    assert ("byot()", "fgsm") in recorded.notes
    splits, ood = data.load("digits", limit=100), data.load(OOD, size=8)
    few = replace(splits, test=splits.test.rows(stratified(splits.test.labels, 60, 0)))
    for seed in range(2):
        student, _ = load_run(run_folder(study.folder, "byot()", seed))
        augment = data.default_augmentation(data.load("digits", limit=100, seed=seed))
        few_ood = replace(ood, test=ood.test)  # 40 are fewer than 60
        want = evaluate(student, few, metrics=[*FEW.metrics, "outside"], ood=few_ood, augment=augment)
        found = stored(study, "byot()", seed)
        assert found["metrics"] == want
        assert (found["data"], found["images"]) == ("digits", 359)
        assert found["limited"] == dict.fromkeys(want, 60)
        assert sum(row["images"] for row in want["classes"]) == 60


def test_stored_metrics_are_not_computed_again(study):
    evaluate_all([study], FEW)
    before = {path: path.read_bytes() for path in study.folder.rglob("metrics.json")}
    recorded = RecordingListener()
    evaluate_all([study], FEW, listener=recorded)
    assert (recorded.starts, recorded.notes, recorded.ends) == ([(4, 4)], [], [])
    more = replace(FEW, metrics=(*FEW.metrics, "selective"), epsilons=(2.0, 8.0, 16.0))
    evaluate_all([study], more, listener=recorded)
    assert {words for _, words in recorded.notes} == {"selective", "fgsm"}
    assert set(stored(study, "ce()", 0)["metrics"]["fgsm"]) == {"2/255", "8/255", "16/255"}
    recorded.notes.clear()
    evaluate_all([study], replace(FEW, limit=None, metrics=("selective",), ood=None), listener=recorded)
    assert {words for _, words in recorded.notes} == {"selective"}  # of other images than before
    assert "selective" not in stored(study, "ce()", 0)["limited"]
    assert before.keys() == set(study.folder.rglob("metrics.json"))


def test_an_interrupted_evaluation_resumes(study):
    class InterruptingRecorder(NoteRecorder):
        def on_note(self, text):
            super().on_note(text)
            if text == "fgsm":
                raise KeyboardInterrupt

    class InterruptedListener(RecordingListener):
        def for_job(self, name):
            stops = row_of(name) == "byot()" and name.endswith("seed 0")
            return (InterruptingRecorder if stops else NoteRecorder)(row_of(name), self.notes)

    first, second = InterruptedListener(), RecordingListener()
    with pytest.raises(KeyboardInterrupt):
        evaluate_all([study], FEW, listener=first)
    assert list(stored(study, "byot()", 0)["metrics"]) == ["accuracy", "calibration", "balance", "classes"]
    evaluate_all([study], FEW, listener=second)
    assert second.starts == [(1, 4)]
    assert second.notes[:2] == [("byot()", "fgsm"), ("byot()", "outside")]
    assert not list(study.folder.rglob(".*metrics*"))


def test_processes_compute_the_same_metrics(study, finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "other")
    other = replace(finished, folder=tmp_path / "other", errors={})
    recorded = RecordingListener()
    evaluate_all([study], FEW)
    evaluate_all([other], FEW, engine=ProcessEngine(2, 1), listener=recorded)
    assert not other.errors
    for method in study.methods:
        for seed in range(2):
            assert stored(study, method, seed) == stored(other, method, seed)
    assert ("byot()", "classes") in recorded.notes


def test_the_memory_of_a_step_equals_that_of_bench(study):
    evaluate_all([study], EvaluationRequest(("cost",), accelerator="cpu"))
    splits = data.load("digits", limit=100)
    counted = {row: Candidate(row, replace(BASE, method=row), splits).bytes() / 2**20 for row in study.methods}
    for row in study.methods:
        cost = stored(study, row, 0)["metrics"]["cost"]
        assert cost["step_mib"] == pytest.approx(counted[row], rel=1e-3)
        assert cost["step_ms"] == study.results[row][0]["step_ms"]
        assert "limited" not in stored(study, row, 0)
        assert cost["step_mib"] == stored(study, row, 1)["metrics"]["cost"]["step_mib"]
    assert counted["byot()"] > 1.1 * counted["ce()"]


def test_a_failed_evaluation_is_recorded_and_the_others_go_on(study):
    weights = run_folder(study.folder, "ce()", 0) / "student.safetensors"
    weights.unlink()
    evaluate_all([study], EvaluationRequest(accelerator="cpu"))
    assert study.errors["ce()"].startswith(f"evaluation failed: the run in '{weights.parent}' is not finished")
    assert list(study.errors) == ["ce()"]
    assert set(stored(study, "byot()", 1)["metrics"]) == {"accuracy", "calibration", "balance"}


def test_a_grid_is_evaluated_after_its_runs(tmp_path):
    grid = Grid(["ce()"], seeds=[0], recipe=BASE, label_noise=[0, 0.4], metrics=["knn"], ood=OOD, test_limit=50)
    studies = compare_all(grid, tmp_path)
    assert [each.folder.name for each in studies] == ["digits-resnet8-noise0", "digits-resnet8-noise0.4"]
    assert [each.base.label_noise for each in studies] == [0, 0.4]
    for each in studies:
        found = stored(each, "ce()", 0)
        assert (set(found["metrics"]), found["limited"]) == ({"knn", "outside"}, {"knn": 50, "outside": 50})
    noisy = load_run(run_folder(studies[1].folder, "ce()", 0))[1]
    assert noisy["config"]["label_noise"] == 0.4


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ({"metrics": ["pgdd"]}, r"there is no metric 'pgdd'; did you mean 'pgd'\?"),
        ({"metrics": ["outside"]}, "the metric outside compares with images of other classes; name them: --ood"),
        ({"metrics": ["knn"], "test_limit": 5}, "5 test images cannot include each of 10 classes; evaluate on 10"),
        ({"metrics": ["knn"], "test_limit": 0}, "the number of test images must be 1 or more, but is 0"),
        (
            {"test_limit": 50},
            'test_limit limits the images of metrics, but the grid names no metrics; write metrics=\\["basic',
        ),
        ({"ood": "nowhere"}, "nowhere"),
        ({"metrics": "all"}, "metrics of a grid must be a list, but found the text 'all'; write a list"),
        ({"label_noise": 0.4}, "label_noise of a grid must be a list, but found the number 0.4; write a list"),
        ({"label_noise": [0, 1.5]}, "label noise must be a fraction from 0 to below 1, but is 1.5"),
    ],
)
def test_mistakes_are_found_before_training(tmp_path, words, answer):
    with pytest.raises(UserError, match=answer):
        compare_all(Grid(["ce()"], seeds=[0], recipe=BASE, **words), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_all_means_all_available_metrics():
    everything = {*of_task(tuple(METRICS), "classify")}
    assert set(EvaluationRequest(("all",)).remaining(None, "classify")) == everything - {"outside"}
    assert set(EvaluationRequest(("all",), OOD).remaining(None, "classify")) == everything


def command(capsys, *words):
    status = 0
    try:
        main(list(map(str, words)))
    except SystemExit as stop:
        status = stop.code or 0
    return status, *capsys.readouterr()


def test_evaluate_accepts_the_folder_of_a_study(capsys, study):
    words = ("evaluate", study.folder, "--metrics", "basic", "--test-limit", "60", "--accelerator", "cpu")
    status, out, err = command(capsys, *words)
    assert (status, err) == (0, "")
    assert out.count("metrics of ") == 4
    assert re.search(r"^method +ECE % ↓ +adaptive ECE % ↓ +Brier ↓$", out, re.M)
    assert re.search(r"^byot\(\) +\d+\.\d\d ± \d+\.\d\d( better| worse)? +\d", out, re.M)
    assert (
        "on 60 of the 359 test images (class-stratified, the same for all runs): accuracy, calibration, balance." in out
    )
    again = command(capsys, *words)
    assert again[1].count("metrics of ") == 0
    assert again[1].strip() == out[out.index("\nAccuracy") :].strip()
    run_folder(study.folder, "ce()", 1).joinpath("result.json").unlink()
    assert "1 run is not finished and not evaluated" in command(capsys, *words)[1]
    other = command(capsys, "evaluate", study.folder, "--data", OOD, "--workers", "2", "--accelerator", "cpu")
    assert other[0] == 0
    assert "metrics of byot(), resnet8, digits, seed 0: 3 computed (" in other[1]
    assert (run_folder(study.folder, "byot()", 0) / "metrics-fake-classes-10-size-8-test-40.json").is_file()


def test_evaluate_names_a_damaged_file(capsys, study):
    (run_folder(study.folder, "ce()", 0) / "metrics.json").write_text("{}")
    status, _, err = command(capsys, "evaluate", study.folder)
    assert status == 2
    assert err.startswith("selfdistill: ")
    assert "metrics.json: data must be text, but is missing" in err
    assert err.count("\n") == 1


def test_compare_evaluates_and_prints_both_tables(capsys, tmp_path):
    words = ("--methods", "ce()", "--label-noises", "0", "0.4", "--seeds", "1", "--limit", "60", "--epochs", "1")
    options = ("--metrics", "selective", "--test-limit", "30", "--out", tmp_path)
    status, out, err = command(capsys, "compare", *words, *options)
    assert (status, err) == (0, "")
    assert out.count("AURC % ↓") == 2 * 2
    assert "digits, 60 training images, 40 % label noise, resnet8" in out
    assert {each.parent.parent.parent.parent.name for each in tmp_path.rglob("metrics.json")} == {
        "digits-resnet8-noise0",
        "digits-resnet8-noise0.4",
    }
    status, _, err = command(capsys, "compare", *words, "--metrics", "nonsense", "--out", tmp_path / "x")
    assert status == 2
    assert "there is no metric 'nonsense'" in err
    assert not (tmp_path / "x").exists()


def test_devices_by_name():
    assert job.device_of("cpu").type == "cpu"
    with pytest.raises(UserError, match="cannot evaluate on 'tpu'; this machine has cpu, auto"):
        job.device_of("tpu")
