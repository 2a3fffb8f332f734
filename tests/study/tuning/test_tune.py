"""Tuning on digits: the same trials from any number of processes, after a kill, and never with the test set."""

import signal

import pytest
import torch
from filelock import FileLock

from selfdistill.errors import UserError
from selfdistill.study import load as studies
from selfdistill.study import tune
from selfdistill.study.engine.engine import make_engine
from selfdistill.study.engine.job import run_job
from selfdistill.study.tuning.job import TrialJob
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.run import run
from tests.helpers.processes import command, until
from tests.helpers.small_runs import log, small

BASE = small(validation=0.2)
METHODS = ["drg(alpha=0.1..1)"]  # plain cross-entropy is added


class Titles(Listener):
    """The titles of the runs that were trained."""

    def __init__(self):
        self.titles = []

    def on_run_start(self, title, epochs, steps):
        self.titles.append(title)


def trials(tuning):
    """The trials of each method without their times."""
    return {
        search.space.text: [(each.number, each.values, each.scores, each.error) for each in search.trials]
        for search in tuning.searches
    }


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    return tune(METHODS, BASE, budget=4, seeds=2, folder=folder), folder


def test_every_method_has_the_same_budget_and_the_default_first(tuned):
    found = trials(tuned[0])
    assert {name: len(each) for name, each in found.items()} == {"ce()": 4, "drg(alpha=0.1..1)": 4}
    assert found["ce()"][0][1] == {"lr": 0.1, "weight_decay": 5e-4}


def test_tuned_is_never_worse_than_default_on_the_validation_images(tuned):
    for search in tuned[0].searches:
        assert search.best.score >= search.trials[0].score
        assert search.trials[0].epochs == search.best.epochs == BASE.epochs


def test_halving_stops_a_trial(tuned):
    for search in tuned[0].searches:
        assert [len(each.scores) for each in search.trials].count(2) < 4


def test_the_search_never_evaluates_the_test_set_and_keeps_no_checkpoint(tuned):
    files = {path.name for path in (tuned[1] / "search").rglob("*") if path.is_file()}
    assert "log.jsonl" in files
    assert not files & {"result.json", "last.ckpt", "previous.ckpt", "student.safetensors"}


def test_the_final_seeds_are_fresh(tuned):
    assert tuned[0].study.seeds == (1, 2)
    assert BASE.seed == 0


def test_the_final_study_is_read_again_with_its_recipes(tuned):
    found = studies.load(tuned[1])
    assert found.results == tuned[0].study.results
    assert found.recipes == tuned[0].study.recipes
    for row, recipe in found.recipes.items():
        assert found.config(row, 1).lr == recipe["lr"]
        assert found.finished(row)[0]["method"] == recipe["method"]


def test_the_same_call_trains_nothing_again(tuned):
    seen = Titles()
    again = tune(METHODS, BASE, budget=4, seeds=2, folder=tuned[1], listener=seen)
    assert trials(again) == trials(tuned[0])
    assert seen.titles == []


def test_the_gain_is_the_mean_of_the_paired_differences(tuned):
    for each in tuned[0].methods:
        if not each.is_default:
            scores, base = (tuned[0].study.scores(row) for row in (each.row, each.default_row))
            gaps = [scores[seed] - base[seed] for seed in (1, 2)]
            assert each.gain.difference.mean == pytest.approx(sum(gaps) / 2)


def test_a_trial_in_parts_is_the_whole_run(tmp_path):
    config = small("drg()", validation=0.2, epochs=3)
    run(config, tmp_path / "whole")
    for rung in (1, 2, 3):
        job = TrialJob("drg()", config, tmp_path / "parts", tmp_path / "teachers", 0, rung)
        assert run_job(job).error is None
        assert log(tmp_path / "parts") == log(tmp_path / "whole")[:rung]


def test_a_trial_at_its_rung_is_not_trained_further(tmp_path):
    seen, config = Titles(), small(validation=0.2)
    job = TrialJob("ce()", config, tmp_path / "trial", tmp_path / "teachers", 0, 1)
    first = run_job(job, seen).result
    assert run_job(job, seen).result == first
    assert len(seen.titles) == 1


def test_a_log_of_other_values_is_refused(tmp_path):
    job = TrialJob("ce()", small(validation=0.2), tmp_path / "trial", tmp_path / "teachers", 0, 1)
    run_job(job)
    other = TrialJob("ce()", small(validation=0.2, lr=0.3), tmp_path / "trial", tmp_path / "teachers", 0, 1)
    assert "holds a run with another lr" in run_job(other).error


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base": small()}, "digits has no validation images; pass --validation 0.2"),
        ({"seeds": 0}, "seeds must be 1 or more, but is 0"),
        ({"budget": 0}, "budget must be 1 or more, but is 0"),
        ({"methods": ["drg()", "drg(alpha=0.1..1)"]}, "have the same defaults"),
        ({"base": small(validation=0.2, devices=2)}, "devices x nodes is 2; pass --workers"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_training(tmp_path, changes, words):
    given = {"methods": METHODS, "base": BASE, "folder": tmp_path} | changes
    with pytest.raises(UserError, match=words):
        tune(given.pop("methods"), given.pop("base"), **given)
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_in_the_folder_is_refused(tmp_path):
    with FileLock(tmp_path / ".tune.lock"), pytest.raises(UserError, match="another process tunes in"):
        tune(METHODS, BASE, budget=1, folder=tmp_path)


def test_a_method_whose_trials_all_fail_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("selfdistill.study.tuning.job.TrialJob._train", refuse)
    with pytest.raises(UserError, match="every trial has failed, the defaults too: the loss is not finite"):
        tune(["ce()"], BASE, budget=1, folder=tmp_path)


def refuse(*_):
    raise UserError("the loss is not finite")


@pytest.mark.slow
def test_two_processes_make_the_same_trials_as_one(tmp_path):
    one, two = (
        tune(METHODS, BASE, budget=9, seeds=1, folder=tmp_path / str(count), engine=make_engine("local", count, 1))
        for count in (1, 2)
    )
    assert trials(one) == trials(two)
    assert one.study.results.keys() == two.study.results.keys()


@pytest.mark.slow
def test_after_a_kill_the_search_goes_on(tmp_path):
    words = ["tune", "--methods", "ce()", "--epochs", "2", "--limit", "200", "--batch-size", "32"]
    words += ["--accelerator", "cpu", "--budget", "4", "--seeds", "1", "--out"]
    started = command(*words, tmp_path / "killed")
    until(lambda: list((tmp_path / "killed").glob("search/runs/*/trial2/run.json")), 300)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the command has
    try:
        one, other = (
            tune(["ce()"], BASE, budget=4, seeds=1, folder=tmp_path / each, listener=seen)
            for each, seen in (("killed", Titles()), ("whole", Titles()))
        )
    finally:
        torch.set_num_threads(threads)
    assert trials(one) == trials(other)
    assert len(trials(one)["ce()"]) == 4
