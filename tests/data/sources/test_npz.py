import numpy as np
import pytest
import torch

from selfdistill.data import load
from selfdistill.data.sources import task_of
from selfdistill.errors import UserError


def pixels(count, *shape, first=0):
    return np.random.default_rng(first).integers(0, 256, (count, *shape), dtype=np.uint8)


def medmnist(root, shape=(8, 8), labels=(0, 1), name="data.npz", **changes):
    """Write arrays as MedMNIST has them."""
    arrays = {}
    for k, (split, count) in enumerate({"train": 6, "val": 4, "test": 2}.items()):
        arrays[f"{split}_images"] = pixels(count, *shape, first=k)
        arrays[f"{split}_labels"] = np.resize(labels, count)[:, None]
    arrays |= changes
    np.savez(root / name, **{each: found for each, found in arrays.items() if found is not None})
    return root / name


def read(path, query="", **options):
    return load(f"npz:{path}{query}", **options)


def refused(path, query="", **options):
    with pytest.raises(UserError) as caught:
        read(path, query, **options)
    return str(caught.value)


def test_grey_images_are_repeated_and_labels_are_flattened(tmp_path):
    splits = read(medmnist(tmp_path))
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [6, 4, 2]
    assert splits.train.labels.tolist() == [0, 1] * 3
    assert splits.classes == ("0", "1")
    assert splits.notes == ()
    grey = torch.from_numpy(pixels(6, 8, 8))
    assert torch.equal(splits.train.images, grey[:, None].expand(6, 3, 8, 8))


@pytest.mark.parametrize("shape", [(8, 8, 3), (3, 8, 8)])
def test_colors_come_first_or_last(tmp_path, shape):
    splits = read(medmnist(tmp_path, shape))
    stored = torch.from_numpy(pixels(6, *shape))
    assert torch.equal(splits.train.images, stored if shape[0] == 3 else stored.movedim(-1, 1))


def test_images_are_resized_and_cropped(tmp_path):
    path = medmnist(tmp_path, (8, 12))
    assert "have 12x8 pixels and are not square; pass --size" in refused(path)
    splits = read(path, size=8)
    assert torch.equal(splits.train.images[:, 0], torch.from_numpy(pixels(6, 8, 12)[:, :, 2:10]))
    assert read(path, size=4).train.images.shape == (6, 3, 4, 4)


def test_names_of_classes_and_tags(tmp_path):
    assert read(medmnist(tmp_path, class_names=np.array(["ill", "well"]))).classes == ("ill", "well")
    tags = {f"{split}_labels": np.tile([[1, 0, 1], [0, 1, 1]], (count, 1)) for split, count in SIDES.items()}
    path = medmnist(tmp_path, **tags)
    assert task_of(f"npz:{path}") == "tag"
    assert read(path, task="tag").train.labels.shape == (6, 3)


SIDES = {"train": 3, "val": 2, "test": 1}


def test_a_share_is_drawn_without_test_arrays(tmp_path):
    lost = {"test_images": None, "test_labels": None}
    path = medmnist(tmp_path, **lost)
    note = f"2 of the 6 rows of '{path}', the same in every run, are the test set"
    with pytest.warns(UserWarning, match="the same in every run"):
        splits = read(path, test=0.3)
    assert splits.notes == (note,)
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [4, 4, 2]
    assert "has test rows, so there is nothing to draw" in refused(medmnist(tmp_path), test=0.2)


def test_own_validation_images_that_are_replaced_are_named(tmp_path):
    note = "the data's own 4 validation images are not used, as --validation 0.5 takes others from the training images"
    with pytest.warns(UserWarning, match=note):
        splits = read(medmnist(tmp_path), validation=0.5)
    assert len(splits.validation) == 3


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"train_images": np.array([{}] * 6, dtype=object)}, "holds Python objects, which may run code"),
        ({"train_labels": np.array([["a"]] * 6, dtype=object)}, "holds Python objects, which may run code"),
        ({"train_labels": np.full((6, 1), 0.5)}, "hold 0.5, but labels are whole numbers"),
        ({"train_labels": np.array([[1], [2]] * 3), "test_labels": np.ones((2, 1), int)}, "have no training image (0)"),
        ({"test_labels": np.full((2, 1), 7)}, "has the class 7, but there are 2 classes, 0 to 1"),
        ({"train_labels": np.zeros((5, 1), int)}, "but there are 5 labels"),
        ({"train_images": pixels(6, 8, 8) / 255.0}, "are float32 [4, 1, 8, 8], but bytes"),
        ({"train_labels": np.zeros((6, 8, 8), int)}, "are of pixels; read them by tensors:"),
    ],
)
def test_mistakes_are_answered(tmp_path, changes, answer):
    floats = {f"{each}_images": pixels(n, 8, 8) / 255.0 for each, n in (("val", 4), ("test", 2))}
    more = floats if "bytes" in answer else {}
    assert answer in refused(medmnist(tmp_path, **more, **changes))


def test_other_files_are_refused(tmp_path):
    assert "is no .npz file" in refused(tmp_path)
    assert "there is no file" in refused(tmp_path / "none.npz")
    assert "cannot read ?x=1" in refused(medmnist(tmp_path), "?x=1")
