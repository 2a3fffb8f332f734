"""A study's runs are measured: once each, by whatever makes its runs, and as measuring a network by hand would."""

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
from selfdistill.study import Grid, RunConfig, compare, compare_all
from selfdistill.study.engine.processes import ProcessEngine
from selfdistill.study.evaluation import job
from selfdistill.study.evaluation.job import measure_all
from selfdistill.study.evaluation.request import EvaluationRequest
from selfdistill.study.layout import run_folder
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import load_run

BASE = RunConfig("ce()", limit=100, epochs=1, batch_size=32, accelerator="cpu")
OOD = "fake:classes=10,size=8,test=40"
FEW = EvaluationRequest(("basic", "classes", "fgsm"), OOD, limit=60, accelerator="cpu")


class Heard(Listener):
    def __init__(self):
        self.begun, self.notes, self.ends = [], [], []

    def on_study_start(self, rows, done, jobs):
        self.begun.append((done, jobs))

    def for_job(self, name):
        return Notes(row_of(name), self.notes)

    def on_job_end(self, job):
        self.ends.append((row_of(job.name), job.summary.removeprefix("failed: ")))


class Notes(Listener):
    def __init__(self, row, notes):
        self.row, self.notes = row, notes

    def on_note(self, text):
        self.notes.append((self.row, text))


def row_of(name):
    return name.removeprefix("measures of ").split(",")[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return compare(["ce()", "byot()"], BASE, range(2), tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(finished, tmp_path):
    """A copy of its own, not measured."""
    shutil.copytree(finished.folder, tmp_path / "study")
    return replace(finished, folder=tmp_path / "study", errors={})


def kept(study, method, seed, name="measures.json"):
    return json.loads((run_folder(study.folder, method, seed) / name).read_text())


def test_every_run_is_measured_as_by_hand_on_the_same_few_images(study):
    heard = Heard()
    measure_all([study], FEW, listener=heard)
    assert heard.begun == [(0, 4)]
    assert heard.ends == [(row, "5 taken") for row in ("ce()", "byot()") * 2]
    assert ("byot()", "fgsm") in heard.notes
    splits, strange = data.load("digits", limit=100), data.load(OOD, size=8)
    few = replace(splits, test=splits.test.rows(stratified(splits.test.labels, 60, 0)))
    for seed in range(2):
        student, _ = load_run(run_folder(study.folder, "byot()", seed))
        augment = data.default_augmentation(data.load("digits", limit=100, seed=seed))
        strange_few = replace(strange, test=strange.test)  # 40 are fewer than 60
        want = evaluate(student, few, metrics=[*FEW.measures, "outside"], ood=strange_few, augment=augment)
        found = kept(study, "byot()", seed)
        assert found["measures"] == want
        assert (found["data"], found["images"]) == ("digits", 359)
        assert found["limited"] == dict.fromkeys(want, 60)
        assert sum(row["images"] for row in want["classes"]) == 60


def test_what_is_there_is_not_measured_again(study):
    measure_all([study], FEW)
    before = {path: path.read_bytes() for path in study.folder.rglob("measures.json")}
    heard = Heard()
    measure_all([study], FEW, listener=heard)
    assert (heard.begun, heard.notes, heard.ends) == ([(4, 4)], [], [])
    more = replace(FEW, measures=(*FEW.measures, "selective"), epsilons=(2.0, 8.0, 16.0))
    measure_all([study], more, listener=heard)
    assert {words for _, words in heard.notes} == {"selective", "fgsm"}
    assert set(kept(study, "ce()", 0)["measures"]["fgsm"]) == {"2/255", "8/255", "16/255"}
    heard.notes.clear()
    measure_all([study], replace(FEW, limit=None, measures=("selective",), ood=None), listener=heard)
    assert {words for _, words in heard.notes} == {"selective"}  # of other images than before
    assert "selective" not in kept(study, "ce()", 0)["limited"]
    assert before.keys() == set(study.folder.rglob("measures.json"))


def test_it_goes_on_after_an_interruption(study):
    class StopsAt(Notes):
        def on_note(self, text):
            super().on_note(text)
            if text == "fgsm":
                raise KeyboardInterrupt

    class Stops(Heard):
        def for_job(self, name):
            stops = row_of(name) == "byot()" and name.endswith("seed 0")
            return (StopsAt if stops else Notes)(row_of(name), self.notes)

    first, second = Stops(), Heard()
    with pytest.raises(KeyboardInterrupt):
        measure_all([study], FEW, listener=first)
    assert list(kept(study, "byot()", 0)["measures"]) == ["accuracy", "calibration", "classes"]
    measure_all([study], FEW, listener=second)
    assert second.begun == [(1, 4)]
    assert second.notes[:2] == [("byot()", "fgsm"), ("byot()", "outside")]
    assert not list(study.folder.rglob(".*measures*"))


def test_processes_measure_the_same(study, finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "other")
    other = replace(finished, folder=tmp_path / "other", errors={})
    heard = Heard()
    measure_all([study], FEW)
    measure_all([other], FEW, engine=ProcessEngine(2, 1), listener=heard)
    assert not other.errors
    for method in study.methods:
        for seed in range(2):
            assert kept(study, method, seed) == kept(other, method, seed)
    assert ("byot()", "classes") in heard.notes


def test_the_memory_of_a_step_is_what_bench_counts(study):
    measure_all([study], EvaluationRequest(("cost",), accelerator="cpu"))
    splits = data.load("digits", limit=100)
    counted = {row: Candidate(row, replace(BASE, method=row), splits).bytes() / 2**20 for row in study.methods}
    for row in study.methods:
        cost = kept(study, row, 0)["measures"]["cost"]
        assert cost["step_mib"] == pytest.approx(counted[row], rel=1e-3)
        assert cost["step_ms"] == study.results[row][0]["step_ms"]
        assert "limited" not in kept(study, row, 0)
        assert cost["step_mib"] == kept(study, row, 1)["measures"]["cost"]["step_mib"]
    assert counted["byot()"] > 1.1 * counted["ce()"]


def test_a_run_that_cannot_be_measured_is_told_and_the_others_are_measured(study):
    weights = run_folder(study.folder, "ce()", 0) / "student.safetensors"
    weights.unlink()
    measure_all([study], EvaluationRequest(accelerator="cpu"))
    assert study.errors["ce()"].startswith(f"its measures: the run in '{weights.parent}' is not finished")
    assert list(study.errors) == ["ce()"]
    assert set(kept(study, "byot()", 1)["measures"]) == {"accuracy", "calibration"}


def test_a_grid_takes_its_measures_after_its_runs(tmp_path):
    grid = Grid(["ce()"], seeds=[0], recipe=BASE, label_noise=[0, 0.4], measures=["knn"], ood=OOD, test_limit=50)
    studies = compare_all(grid, tmp_path)
    assert [each.folder.name for each in studies] == ["digits-resnet8-noise0", "digits-resnet8-noise0.4"]
    assert [each.base.label_noise for each in studies] == [0, 0.4]
    for each in studies:
        found = kept(each, "ce()", 0)
        assert (set(found["measures"]), found["limited"]) == ({"knn", "outside"}, {"knn": 50, "outside": 50})
    noisy = load_run(run_folder(studies[1].folder, "ce()", 0))[1]
    assert noisy["config"]["label_noise"] == 0.4


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ({"measures": ["pgdd"]}, r"there is no metric 'pgdd'; did you mean 'pgd'\?"),
        ({"measures": ["outside"]}, "the metric outside compares with images of other classes; name them: --ood"),
        ({"measures": ["knn"], "test_limit": 5}, "5 test images cannot hold one of each of 10 classes; measure on 10"),
        ({"measures": ["knn"], "test_limit": 0}, "the test images to measure on must be 1 or more, but are 0"),
        ({"test_limit": 50}, 'a limit of test images is for measures, but a grid names none; write measures=\\["basic'),
        ({"ood": "nowhere"}, "nowhere"),
        ({"measures": "all"}, "measures of a grid are several, but found the text 'all'; write a list"),
        ({"label_noise": 0.4}, "label_noise of a grid are several, but found the number 0.4; write a list"),
        ({"label_noise": [0, 1.5]}, "label noise must be a share from 0 to below 1, but is 1.5"),
    ],
)
def test_mistakes_are_found_before_any_training(tmp_path, words, answer):
    with pytest.raises(UserError, match=answer):
        compare_all(Grid(["ce()"], seeds=[0], recipe=BASE, **words), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_all_is_all_that_can_be_had():
    everything = set(METRICS)
    assert set(EvaluationRequest(("all",)).left(None)) == everything - {"outside"}
    assert set(EvaluationRequest(("all",), OOD).left(None)) == everything


def command(capsys, *words):
    status = 0
    try:
        main(list(map(str, words)))
    except SystemExit as stop:
        status = stop.code or 0
    return status, *capsys.readouterr()


def test_the_command_takes_a_studys_folder(capsys, study):
    words = ("evaluate", study.folder, "--measures", "basic", "--test-limit", "60", "--accelerator", "cpu")
    status, out, err = command(capsys, *words)
    assert (status, err) == (0, "")
    assert out.count("measures of ") == 4
    assert re.search(r"^method +ECE % ↓ +adaptive ECE % ↓ +Brier ↓$", out, re.M)
    assert re.search(r"^byot\(\) +\d+\.\d\d ± \d+\.\d\d( better| worse)? +\d", out, re.M)
    assert "on 60 of the 359 test images (class-stratified, the same for all runs): accuracy, calibration." in out
    again = command(capsys, *words)
    assert again[1].count("measures of ") == 0
    assert again[1].strip() == out[out.index("\nAccuracy") :].strip()
    run_folder(study.folder, "ce()", 1).joinpath("result.json").unlink()
    assert "1 run is not finished and not evaluated" in command(capsys, *words)[1]
    other = command(capsys, "evaluate", study.folder, "--data", OOD, "--workers", "2", "--accelerator", "cpu")
    assert other[0] == 0
    assert "measures of byot(), resnet8, digits, seed 0: 2 taken (" in other[1]
    assert (run_folder(study.folder, "byot()", 0) / "measures-fake-classes-10-size-8-test-40.json").is_file()


def test_the_command_says_what_failed(capsys, study):
    (run_folder(study.folder, "ce()", 0) / "measures.json").write_text("{}")
    status, _, err = command(capsys, "evaluate", study.folder)
    assert status == 2
    assert err.startswith("selfdistill: ")
    assert "measures.json is not what evaluate writes" in err
    assert err.count("\n") == 1


def test_compare_measures_and_prints_both_tables(capsys, tmp_path):
    words = ("--methods", "ce()", "--label-noises", "0", "0.4", "--seeds", "1", "--limit", "60", "--epochs", "1")
    asked = ("--measures", "selective", "--test-limit", "30", "--out", tmp_path)
    status, out, err = command(capsys, "compare", *words, *asked)
    assert (status, err) == (0, "")
    assert out.count("AURC % ↓") == 2 * 2
    assert "digits, 60 training images, 40 % label noise, resnet8" in out
    assert {each.parent.parent.parent.parent.name for each in tmp_path.rglob("measures.json")} == {
        "digits-resnet8-noise0",
        "digits-resnet8-noise0.4",
    }
    status, _, err = command(capsys, "compare", *words, "--measures", "nonsense", "--out", tmp_path / "x")
    assert status == 2
    assert "there is no metric 'nonsense'" in err
    assert not (tmp_path / "x").exists()


def test_the_device_of_a_name():
    assert job.device_of("cpu").type == "cpu"
    with pytest.raises(UserError, match="cannot measure on 'tpu'; this machine has cpu, auto"):
        job.device_of("tpu")
