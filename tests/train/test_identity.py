"""Identity of a run: its data belong to it, and its random numbers are its own."""

import json
from threading import Thread

import pytest
import torch
from PIL import Image

from selfdistill.data import load
from selfdistill.errors import UserError
from selfdistill.study import Grid, compare_all
from selfdistill.study.engine.job import load_splits
from selfdistill.study.evaluation.job import evaluate_all
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.run import run
from tests.helpers.small_runs import Interrupted, StopAfter, small, weights


def write_images(root, numbers):
    for split in ("train", "test"):
        for name in "ab":
            for number in numbers:
                path = root / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8), (number * 9, 100 * (name == "a"), 0)).save(path)


@pytest.fixture
def config(tmp_path):
    write_images(tmp_path / "images", range(4))
    return small(data=f"folder:{tmp_path / 'images'}", limit=None, batch_size=4)


def test_a_finished_run_of_changed_data_is_refused(config, tmp_path):
    first = run(config, tmp_path / "run")
    assert run(config, tmp_path / "run") == first
    write_images(tmp_path / "images", range(4, 6))
    with pytest.raises(UserError, match=r"have changed since the run in .*/run: 16 files .* 24 files"):
        run(config, tmp_path / "run")


def test_an_interrupted_run_does_not_continue_on_changed_data(config, tmp_path):
    with pytest.raises(Interrupted):
        run(config, tmp_path / "run", listener=StopAfter(1))
    write_images(tmp_path / "images", [9])
    with pytest.raises(UserError, match="choose another --out to train on the new data, or delete the folder"):
        run(config, tmp_path / "run")


def test_other_images_in_memory_are_refused(tmp_path):
    run(small(), tmp_path, splits=load("digits", limit=200))
    with pytest.raises(UserError, match="have changed"):
        run(small(), tmp_path, splits=load("digits", limit=100))


def test_changed_files_are_loaded_again(config, tmp_path):
    before = len(load_splits(config).train)
    write_images(tmp_path / "images", range(4, 6))
    assert (before, len(load_splits(config).train)) == (8, 12)


def test_metrics_are_computed_again_on_changed_data(config, tmp_path):
    grid = Grid(["ce()"], seeds=[0], recipe=config, metrics=["accuracy"])
    (study,) = compare_all(grid, tmp_path / "study")
    write_images(tmp_path / "images", range(4, 6))
    notes = []

    class Notes(Listener):
        def on_note(self, text):
            notes.append(text)

    evaluate_all([study], grid.request, listener=Notes())
    assert any("have changed since the run in" in note for note in notes)
    stored = json.loads(next((tmp_path / "study").rglob("metrics.json")).read_text())
    assert stored["images"] == 12
    notes.clear()
    evaluate_all([study], grid.request, listener=Notes())
    assert not notes


def test_runs_in_threads_are_those_of_a_run_alone(tmp_path):
    notes = []

    class Notes(StopAfter):
        def on_note(self, text):
            notes.append(text)

    def train(seed, place):
        run(small("drg()", seed=seed, epochs=1), tmp_path / place / str(seed), listener=Notes(9))

    for seed in range(2):
        train(seed, "alone")
    threads = [Thread(target=train, args=(seed, "together")) for seed in range(2)]
    for each in threads:
        each.start()
        torch.rand(1)
    for each in threads:
        each.join()
    for seed in range(2):
        assert weights(tmp_path / "alone" / str(seed)) == weights(tmp_path / "together" / str(seed))
    assert notes == ["waiting for another run of this process: all threads draw from the same random generators"]
