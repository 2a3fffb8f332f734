"""A finished run: network, transform, classes."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import selfdistill as sd
from selfdistill.data.kinds import augmentation_for
from selfdistill.data.standardization import Standardization
from selfdistill.errors import UserError
from selfdistill.metrics.model import predict_batches
from selfdistill.predict.transform import TensorTransform
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import trained_normalization
from selfdistill.train.run import load_data


@pytest.mark.parametrize("kind", ["classifier", "tagger", "segmenter"])
def test_logits_are_those_of_the_evaluation(kind, request):
    folder = request.getfixturevalue(kind)
    finished = sd.load(folder)
    splits = load_data(RunConfig.from_json(finished.info["config"]))
    augment = trained_normalization(augmentation_for(splits, None), finished.info)
    wanted = next(predict_batches(finished.model, splits.test, augment, 4))[0]
    pixels = [splits.test.images[row] if kind != "segmenter" else splits.test[row].image for row in range(4)]
    got = finished.model(torch.stack([finished.transform(each) for each in pixels]))
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    assert not finished.model.training
    assert finished.classes == splits.classes


def test_probabilities_of_each_task(classifier, tagger, segmenter):
    grey = np.full((16, 16), 128, np.uint8)
    found = {each.name: sd.load(each).predict([grey, grey]) for each in (classifier, tagger, segmenter)}
    classes, tags, maps = found.values()
    torch.testing.assert_close(classes.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(maps.sum(dim=1), torch.ones(2, 16, 16))
    assert 0 < tags.min() <= tags.max() < 1


def test_forms_of_one_image_are_one(classifier, tmp_path):
    transform = pickle.loads(pickle.dumps(sd.load(classifier).transform))
    pixels = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    forms = [
        *(tmp_path / "a.png", str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes()),
        *(Image.fromarray(pixels), pixels, torch.from_numpy(pixels).permute(2, 0, 1)),
    ]
    found = [transform(each) for each in forms]
    assert found[0].shape == (3, 8, 8)
    assert all(torch.equal(found[0], each) for each in found)


def test_grey_images_are_shown_in_three_channels(classifier):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    transform = sd.load(classifier).transform
    wanted = transform(np.repeat(grey[..., None], 3, axis=2))
    for form in (grey, grey[..., None], torch.from_numpy(grey)[None]):
        assert torch.equal(transform(form), wanted)


def test_a_picture_of_the_caller_stays_as_it_is(classifier):
    image = Image.fromarray(np.zeros((10, 20, 3), np.uint8))
    image.getexif()[274] = 6  # lies on its side
    sd.load(classifier).transform(image)
    assert image.size == (20, 10)


def test_deep_pixels_are_shown_as_in_training(classifier):
    finished = sd.load(classifier)
    finished.info["config"]["data"] = "folder:x?range=0..4095"
    from selfdistill.predict.transform import image_transform

    transform = image_transform(finished.info)
    white = Image.fromarray(np.full((8, 8), 4095, np.uint16))
    assert torch.equal(transform.pixels(white), torch.full((3, 8, 8), 255, dtype=torch.uint8))


def test_tensors(arrays, four):
    values, finished = np.load(arrays)["x"], sd.load(four)
    assert isinstance(finished.transform, TensorTransform)
    example = torch.from_numpy(values[0]).float()
    mean, std = (torch.tensor(finished.info[key][""])[:, None, None] for key in ("mean", "std"))
    torch.testing.assert_close(finished.transform(example), (example - mean) / std)
    assert torch.equal(finished.transform(values[0]), finished.transform(example))  # integers are values
    found = finished.predict([values[0], example])
    assert found.shape == (2, 2)
    torch.testing.assert_close(found[0], finished.probabilities(finished.transform(example)[None])[0])


@pytest.mark.parametrize(
    ("example", "wrong"),
    [
        (np.zeros((3, 8, 8), np.float32), r"reads values of shape \[4, …\], but found float32 values of shape \[3, 8"),
        (np.zeros((), np.float32), r"but found float32 values of shape \[\]"),
        ({"x": np.zeros((4, 8, 8), np.uint8)}, r"but found x uint8 values of shape \[4, 8, 8\]"),
        ("a.png", "this run reads arrays, tensors, or mappings of them, but found str"),
    ],
)
def test_other_tensors_are_refused(four, example, wrong):
    with pytest.raises(UserError, match=wrong):
        sd.load(four).predict([example])


def test_inputs_of_other_names_are_refused(classifier):
    finished = replace(sd.load(classifier), transform=TensorTransform(Standardization({}, {})))
    with pytest.raises(UserError, match="the run's model does not take the inputs ids: .*unexpected keyword"):
        finished.predict([{"ids": np.arange(4)}])


def test_a_device_that_is_not_there_is_refused(classifier):
    assert sd.load(classifier, device="auto").predict([np.zeros((8, 8), np.uint8)]).device == torch.device("cpu")
    for name in ("tpu9", "meta"):
        with pytest.raises(UserError, match=f"cannot predict on '{name}'; this machine has auto, cpu"):
            sd.load(classifier, device=name)


@pytest.mark.parametrize(
    ("image", "wrong"),
    [
        (np.zeros((8, 8), np.float32), r"found float32 values of shape \[8, 8\]"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), r"found uint8 values of shape \[2, 3, 8, 8\]"),
        (np.zeros((8, 8, 5), np.uint8), r"found uint8 values of shape \[8, 8, 5\]"),
        (np.zeros((0, 8), np.uint8), r"found uint8 values of shape \[0, 8\]"),
        (7, "found int"),
        ("/nowhere.png", "cannot read the image /nowhere.png"),
    ],
)
def test_what_is_no_image_is_refused(classifier, image, wrong):
    with pytest.raises(UserError, match=wrong):
        sd.load(classifier).transform(image)


def test_images_of_several_sizes_and_none_are_refused(segmenter):
    finished = sd.load(segmenter)
    for images in ([], [np.zeros((16, 16), np.uint8), np.zeros((32, 32), np.uint8)]):
        with pytest.raises(UserError, match="one example or more of one size"):
            finished.predict(images)


def test_a_module_is_imported_only_by_name(classifier, tmp_path):
    import json
    import shutil

    shutil.copytree(classifier, tmp_path / "run")
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    info["config"]["model"] = "strange:net"
    (tmp_path / "run" / "run.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match=r"pass --modules strange \(in Python, modules=\['strange'\]\)"):
        sd.load(tmp_path / "run")
