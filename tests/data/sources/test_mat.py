import numpy as np
import pytest
from scipy.io import savemat

from selfdistill.data import load
from selfdistill.errors import UserError
from tests.helpers.image_files import save

NAMES = ["Audi A5", "BMW X6", "Fiat 500"]


def records(labels, fields=("fname", "class")):
    made = np.zeros((1, len(labels)), dtype=[(each, object) for each in fields])
    for k, label in enumerate(labels):
        made[0, k] = (f"{k:05}.jpg", np.array([[label]], dtype=np.uint8))
    return made


def cars(root, train=(3, 1, 2, 1), test=(2,), fields=("fname", "class"), names=NAMES):
    (root / "devkit").mkdir(parents=True)
    for split, labels in (("train", train), ("test", test)):
        if labels:
            savemat(root / "devkit" / f"cars_{split}_annos.mat", {"annotations": records(labels, fields)})
            for k in range(len(labels)):
                save(root / f"cars_{split}" / f"{k:05}.jpg", k)
    if names:
        savemat(root / "devkit" / "cars_meta.mat", {"class_names": np.array([names], dtype=object)})
    return root


def read(root, query="", **options):
    return load(f"mat:{root}{query}", on_note=lambda note: None, **options)


def refused(root, query="", **options):
    with pytest.raises(UserError) as caught:
        read(root, query, **options)
    return str(caught.value)


def test_classes_from_one_have_the_names_of_the_kit(tmp_path):
    splits = read(cars(tmp_path))
    assert splits.classes == tuple(NAMES)
    assert splits.train.labels.tolist() == [2, 0, 1, 0]
    assert splits.test.labels.tolist() == [1]


def test_without_names_classes_are_numbers(tmp_path):
    assert read(cars(tmp_path, names=None)).classes == ("1", "2", "3")


def test_a_share_is_drawn_where_the_test_images_are_missing(tmp_path):
    root = cars(tmp_path, train=[1, 2, 3] * 5, test=())
    splits = read(root, test=0.2)
    assert splits.train.labels.bincount().tolist() == [4, 4, 4]
    assert refused(root) == f"'{root}' has no test images; hold out a share of its images by --test 0.2"


def test_missing_images_are_left_out_by_an_option(tmp_path):
    root = cars(tmp_path)
    (root / "cars_train" / "00003.jpg").unlink()
    table = root / "devkit" / "cars_train_annos.mat"
    assert refused(root) == (
        f"1 of the 4 images of '{table}' do not exist in '{root}': 'cars_train/00003.jpg' in record 4 of '{table}'; "
        "add the images, or leave out those that are not there by ?missing=skip"
    )
    splits = read(root, "?missing=skip")
    assert splits.train.labels.tolist() == [2, 0, 1]
    assert splits.notes == (f"left out 1 images of {table} that do not exist in {root}, as ?missing=skip asks",)
    assert "cannot read ?missing=x" in refused(root, "?missing=x")


def test_mistakes_are_answered(tmp_path):
    assert "needs the records 'annotations' with the fields 'fname' and 'class', but has fname, box" in refused(
        cars(tmp_path / "a", fields=("fname", "box"))
    )
    root = cars(tmp_path / "b")
    (root / "devkit" / "cars_meta.mat").write_bytes(b"no matrix")
    assert f"cannot read '{root}/devkit/cars_meta.mat'" in refused(root)
    assert "has no *train_annos.mat, but cars_test_annos.mat" in refused(cars(tmp_path / "c", train=()))
    assert "the class '3' of" in refused(cars(tmp_path / "d", names=NAMES[:2]))
    assert "there is no folder" in refused(tmp_path / "none")
    empty = tmp_path / "e"
    empty.mkdir()
    assert "but no *annos.mat" in refused(empty)
