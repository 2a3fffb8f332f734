"""Center crop and normalization of a run: given, from trained weights, recorded, and used after training."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import selfdistill as sd
from selfdistill.data.center_crop import CenterCrop
from selfdistill.data.whole_image import resize_and_crop
from selfdistill.errors import UserError
from selfdistill.export.description import description
from selfdistill.inspect.doctor import check
from selfdistill.metrics.accuracy import evaluate
from selfdistill.models import from_timm
from selfdistill.models.pretrained_input import pretrained_input
from selfdistill.predict.transform import image_transform
from selfdistill.records import read_info
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import load_run, recorded_config, trained_normalization
from selfdistill.train.run import augmentation_for, load_data, run

IMAGENET = [0.485, 0.456, 0.406]
NETWORK = "timm/test_resnet"  # 0.5 million parameters


class Notes(Listener):
    def __init__(self):
        self.notes = []

    def on_note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root, draws = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 3)):
        for name in ("a", "b"):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                pixels = draws.integers(0, 256, (40, 60, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{k}.png")
    return root


def config(photos, **changes):
    values = {"data": f"folder:{photos}", "model": "resnet8", "epochs": 1, "batch_size": 4, "size": 16, **changes}
    return RunConfig("ce()", **values)


@pytest.fixture
def untrained(monkeypatch):
    """Networks of timm without a download: their configuration is real, their weights are random."""
    build = from_timm.build
    monkeypatch.setattr(from_timm, "build", lambda name, classes, size, pretrained: build(name, classes, size, False))


def shown(file, size, crop):
    """The pixels of a file, read by Pillow alone."""
    with Image.open(file) as image:
        return np.asarray(resize_and_crop(image, size, crop=crop)).transpose(2, 0, 1)


def test_a_crop_reaches_test_images_predictions_and_exports(photos, tmp_path):
    asked = config(photos, crop_pct=0.5, test_interpolation="bilinear")
    result = run(asked, tmp_path / "a")
    info = read_info(tmp_path / "a")
    assert (info["crop_pct"], info["interpolation"], info["normalization"]) == (0.5, "bilinear", "data")
    file = photos / "test" / "a" / "0.png"
    wanted = shown(file, 16, CenterCrop(0.5, "bilinear"))
    splits = load_data(recorded_config(info))
    assert np.array_equal(splits.test.images[0], wanted)
    assert np.array_equal(image_transform(info).pixels(file), wanted)
    model, _ = load_run(tmp_path / "a")
    assert evaluate(model, splits.test, trained_normalization(augmentation_for(splits, 16), info))["nll"] == (
        pytest.approx(result["nll"], rel=1e-5)
    )
    found = description(info, {"image": torch.zeros(1, 3, 16, 16)}, fixed_size=True)
    assert (found["crop_pct"], found["interpolation"]) == (0.5, "bilinear")


def test_plain_views_of_all_splits_are_cropped(photos):
    splits = load_data(config(photos, augment="imagenet", crop_pct=0.5, validation=0.5, decode="stream"))
    assert [each.images.crop.crop_pct for each in (splits.train, splits.validation, splits.test)] == [0.5] * 3


def test_views_of_larger_images_keep_their_margins(photos, tmp_path):
    run(config(photos, crop_pct=0.5), tmp_path / "a")
    file = photos / "test" / "a" / "0.png"
    found = image_transform(read_info(tmp_path / "a")).pixels(file, 18)
    assert np.array_equal(found, shown(file, 18, CenterCrop()))


def test_records_of_earlier_versions_have_the_whole_shorter_side(photos, tmp_path):
    run(config(photos), tmp_path / "a")
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    for key in ("crop_pct", "interpolation", "normalization"):
        del record[key]
    for key in ("crop_pct", "test_interpolation", "normalization"):
        del record["config"][key]
    (tmp_path / "a" / "run.json").write_text(json.dumps(record))
    info = read_info(tmp_path / "a")
    assert load_data(recorded_config(info)).crop == image_transform(info).crop == CenterCrop()


@pytest.mark.parametrize(
    ("change", "name"), [({"crop_pct": 0.5}, "crop pct"), ({"test_interpolation": "bilinear"}, "")]
)
def test_a_crop_of_images_in_memory_is_refused(change, name, tmp_path):
    with pytest.raises(UserError, match=rf"{name}.* is of image files .*, but digits has none; leave --.* out"):
        run(RunConfig("ce()", limit=64, epochs=1, **change), tmp_path / "a")


def test_an_unfinished_run_keeps_its_input(photos, tmp_path):
    from selfdistill.train.run import _require_same_input

    run(config(photos), tmp_path / "a")
    info = read_info(tmp_path / "a")
    _require_same_input(tmp_path / "a", info)
    with pytest.raises(UserError, match="was begun with another normalization or center crop of its images"):
        _require_same_input(tmp_path / "a", {**info, "mean": IMAGENET})


def test_pretrained_weights_bring_their_input(photos, tmp_path, untrained):
    listener = Notes()
    run(config(photos, model=NETWORK, pretrained=True, size=32), tmp_path / "a", listener=listener)
    info, wanted = read_info(tmp_path / "a"), pretrained_input(NETWORK, pretrained=True, weights=None)
    assert (info["mean"], info["crop_pct"]) == ([*wanted.mean], wanted.crop.crop_pct)
    assert info["normalization"] == wanted.source == f"{NETWORK}.r160_in1k"
    assert info["config"]["crop_pct"] is None
    assert sd.load(tmp_path / "a").transform.crop == load_data(recorded_config(info)).crop == wanted.crop
    assert sum(note.startswith(f"images are normalized by {wanted.source} (mean ") for note in listener.notes) == 1


def test_other_statistics_than_those_of_the_weights_are_told(photos, tmp_path, untrained):
    asked = config(photos, model=NETWORK, pretrained=True, size=32, normalization="data", crop_pct=1.0)
    found = [each for each in check(asked, tmp_path) if each.check == "input"]
    assert found[0].words.startswith("normalized by the training images (mean 0.4")
    assert "center crop: crop_pct 1, " in found[0].words
    assert found[1].remark
    assert found[1].words.endswith("leave --normalization data out")


def test_weights_of_a_run_bring_the_input_of_its_record(photos, tmp_path):
    run(config(photos, crop_pct=0.5, limit=4), tmp_path / "a")
    weights = str(tmp_path / "a" / "student.safetensors")
    first, notes = read_info(tmp_path / "a"), Notes()
    run(config(photos, weights=weights), tmp_path / "b", listener=notes)
    second = read_info(tmp_path / "b")
    assert (second["mean"], second["std"], second["crop_pct"]) == (first["mean"], first["std"], 0.5)
    assert second["normalization"] == f"the run in {tmp_path / 'a'}"
    assert any(f"normalized by the run in {tmp_path / 'a'}" in note for note in notes.notes)


def test_weights_without_a_record_keep_the_statistics_of_the_data(photos, tmp_path):
    run(config(photos), tmp_path / "a")
    (tmp_path / "a" / "student.safetensors").rename(tmp_path / "alone.safetensors")
    notes, plain = Notes(), read_info(tmp_path / "a")
    run(config(photos, weights=str(tmp_path / "alone.safetensors")), tmp_path / "b", listener=notes)
    assert read_info(tmp_path / "b")["mean"] == plain["mean"]
    assert any("were trained with is unknown; images have the data's" in note for note in notes.notes)


def test_nothing_is_told_of_untrained_networks(photos, tmp_path):
    notes = Notes()
    run(config(photos), tmp_path / "a", listener=notes)
    assert not [each for each in notes.notes if "normalized" in each]


def test_data_of_one_seed_are_loaded_for_each_crop(photos, untrained):
    from selfdistill.study.engine.job import load_splits

    asked = config(photos, model=NETWORK, pretrained=True, size=32)
    assert load_splits(asked).crop == pretrained_input(NETWORK, pretrained=True, weights=None).crop
    assert load_splits(replace(asked, pretrained=False)).crop == CenterCrop()
