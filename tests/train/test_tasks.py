"""Runs of pixels, of tags and of tensors, from their data to result, page and predictions."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from selfdistill.data import SegmentationAugmentation, default_augmentation, load_masks
from selfdistill.data.kinds import augmentation_for, training_loader
from selfdistill.errors import UserError
from selfdistill.export import export
from selfdistill.files import read_json
from selfdistill.methods import parse_method
from selfdistill.metrics.segmentation import count_pixels, segmentation_metrics
from selfdistill.metrics.tags import tag_metrics
from selfdistill.metrics.task_scores import predict_all
from selfdistill.predict import predict
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import load_run
from selfdistill.train.run import load_data, run
from tests.helpers.small_runs import (
    PIXELS,
    TAGS,
    Interrupted,
    StopAfter,
    command,
    log,
    segmenting,
    tagging,
    untimed,
    weights,
)


def test_pixels_are_measured_by_mean_iou(tmp_path):
    result = run(segmenting("drg() + dsr()", validation=0.25), tmp_path / "a")
    network, info = load_run(tmp_path / "a")
    splits = load_masks(PIXELS, validation=0.25)
    augment = load_augment(splits, info)
    found = segmentation_metrics(count_pixels(network, splits.test, augment))
    assert {key: result[key] for key in found} == pytest.approx(found)
    held = [row["validation_miou"] for row in log(tmp_path / "a")]
    assert (result["validation_miou"], result["best_validation_miou"]) == (held[-1], max(held))
    assert [set(row) & {"train_pixel_accuracy", "train_top1"} for row in log(tmp_path / "a")] == [
        {"train_pixel_accuracy"}
    ] * 2
    assert read_json(tmp_path / "a" / "run.json")["config"]["task"] == "segment"


def load_augment(splits, info):
    return SegmentationAugmentation((16, 16), False, tuple(info["mean"]), tuple(info["std"]))


def test_tags_are_measured_by_mean_average_precision(tmp_path):
    result = run(tagging("drg() + mixup()", validation=0.25), tmp_path / "a")
    network, _ = load_run(tmp_path / "a")
    splits = load_data(tagging(validation=0.25))
    found = tag_metrics(*predict_all(network, splits.test, default_augmentation(splits)))
    assert {key: result[key] for key in found} == pytest.approx(found)
    assert "validation_map" in log(tmp_path / "a")[-1]


@pytest.mark.parametrize("config", [segmenting("drg() + kd()"), tagging("dsr() + mixup()")], ids=["pixels", "tags"])
def test_an_interrupted_run_goes_on_bitwise(config, tmp_path):
    whole = run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "cut", listener=StopAfter(1))
    assert untimed(run(config, tmp_path / "cut")) == untimed(whole)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


def test_methods_at_one_seed_see_the_same_pixels(tmp_path):
    splits = load_data(segmenting())
    augment = augmentation_for(splits, None)
    batches = [
        list(training_loader(splits.train, 8, augment=augment, needs=parse_method(text).needs).epoch(0))
        for text in ("ce()", "drg() + dsr()")
    ]
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.labels, other.labels)


def test_masks_are_predicted_as_palette_pngs(tmp_path):
    run(segmenting(epochs=1), tmp_path / "a")
    paths = predict(tmp_path / "a")
    assert [path.name for path in paths] == [f"{row:06d}.png" for row in range(6)]
    with Image.open(paths[0]) as image:
        assert (image.mode, image.size) == ("P", (16, 16))
        assert set(np.unique(np.asarray(image))) <= set(range(8))


def test_tags_and_classes_are_predicted_as_a_table(tmp_path, capsys):
    run(tagging(epochs=1), tmp_path / "a")
    status, said, _ = command(capsys, "predict", tmp_path / "a", "--out", tmp_path / "out")
    assert (status, said.strip()) == (0, str(tmp_path / "out" / "predictions.csv"))
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").read_text().splitlines()))
    splits = load_data(tagging())
    assert len(rows) == 20
    shares = [[float(row[name]) for name in splits.classes] for row in rows]
    network, _ = load_run(tmp_path / "a")
    logits, labels = predict_all(network, splits.test, default_augmentation(splits))
    assert shares == [pytest.approx(row, abs=1e-6) for row in logits.sigmoid().tolist()]
    wanted = ["|".join(name for name, tag in zip(splits.classes, row, strict=True) if tag) for row in labels.tolist()]
    assert [row["label"] for row in rows] == wanted


def test_the_command_trains_tensors_with_a_network_of_ones_own(own, capsys):
    words = ["--data", "tensors:signals.npz", "--model", "my_networks:network", "--epochs", "1", "--batch-size", "16"]
    status, said, _ = command(capsys, "train", "dsr() + mixup()", *words, "--out", "runs/a")
    assert status == 0
    assert "top1" in said
    info = read_json(own / "runs/a/run.json")
    signals = np.load(own / "signals.npz")["x_train"]
    assert info["mean"][""] == pytest.approx(signals.mean(axis=(0, 2)), abs=1e-6)
    status, _, error = command(capsys, "predict", "runs/a")
    assert status == 2
    assert error == (
        "selfdistill: the run in 'runs/a' names the model 'my_networks:network', whose module is imported only if you "
        "name it: pass --modules my_networks (in Python, modules=['my_networks']) if you trust it\n"
    )
    assert command(capsys, "predict", "runs/a", "--modules", "my_networks")[0] == 0
    assert (own / "runs/a/predictions/predictions.csv").exists()


def test_a_study_with_a_network_of_ones_own_is_evaluated_and_drawn(own, capsys):
    words = ["--data", "tensors:signals.npz", "--model", "my_networks:network", "--epochs", "1", "--batch-size", "16"]
    options = ["--seeds", "2", "--metrics", "basic", "knn", "--out", "s", "--report"]
    status, said, error = command(capsys, "compare", "--methods", "ce()", "dsr()", *words, *options)
    assert (status, error) == (0, "")
    assert "kNN %" in said
    assert "whose module is imported" not in (own / "s/report.html").read_text()
    assert command(capsys, "report", "s")[0] == 0
    assert "whose module is imported only if you name it" in (own / "s/report.html").read_text()


@pytest.mark.parametrize("to", ["safetensors", "torch-export"])
def test_networks_of_several_inputs_are_exported(own, to):
    config = RunConfig("ce()", data="tensors:tables.npz", model="my_networks:Both", epochs=1, batch_size=16)
    run(config, "runs/a")
    path, check, *_ = export("runs/a", to, modules=["my_networks"])
    assert check.difference < 1e-5
    if to == "safetensors":
        assert set(load_file(path)) == {
            f"{part}.{kind}" for part in ("one", "other", "head") for kind in ("weight", "bias")
        }


def test_auxiliary_logits_are_learned_at_a_weight(own):
    config = RunConfig("ce()", data=TAGS, model="my_networks:Auxiliary", epochs=1, batch_size=16)
    with pytest.raises(UserError, match="aux"):
        run(config, "refused")
    run(replace(config, aux=0.4), "learned")
    assert "task.aux" in log(own / "learned")[0]["losses"]


def test_a_study_of_pixels_has_a_page(tmp_path, capsys):
    words = ["--data", PIXELS, "--model", "unet-4", "--epochs", "2", "--batch-size", "8", "--seeds", "2"]
    folder = tmp_path / "s"
    status, said, _ = command(capsys, "compare", "--methods", "ce()", "csd()", *words, "--out", folder)
    assert status == 0
    assert "mean IoU %" in said
    status, said, _ = command(capsys, "evaluate", folder, "--metrics", "all")
    assert status == 0
    assert "pixel accuracy %" in said
    assert command(capsys, "report", folder)[0] == 0
    page = (tmp_path / "s" / "report.html").read_text()
    for words in ("mean IoU", "Training pixel accuracy by epoch", "Predicted masks"):
        assert words in page
    assert "top-1" not in page.lower().split("<body", 1)[1].split("</body", 1)[0].replace("top-1 accuracy", "")


@pytest.mark.parametrize(
    ("config", "answer"),
    [
        (segmenting(task="tag"), "has a class for each pixel"),
        (tagging(task="classify"), "has tags, not one class for each image"),
        (segmenting(label_noise=0.2), "label noise replaces the classes of whole images, not of pixels"),
        (segmenting(model="vgg8x"), "there is no model 'vgg8x'"),
        (segmenting("mixup()"), "mixes"),
        (tagging("cs_kd()"), "several tags"),
        (RunConfig("ce()", data=TAGS, model="my:x"), "cannot import the model 'my:x'"),
    ],
)
def test_what_does_not_fit_is_refused(config, answer, tmp_path):
    with pytest.raises(UserError, match=answer):
        run(config, tmp_path / "a")


def test_tensors_are_not_resized(own):
    for changes, answer in (
        ({"size": 8}, "not resized"),
        ({"label_noise": 0.1}, "label noise"),
        ({"task": "tag"}, "task"),
    ):
        config = RunConfig("ce()", data="tensors:signals.npz", model="my_networks:network", **changes)
        with pytest.raises(UserError, match=answer):
            load_data(config)
