import sys

import numpy as np
import pytest
import torch

from selfdistill.data import load
from selfdistill.data.sources.own_name import require_data_module
from selfdistill.errors import UserError

MODULE = """
import numpy as np
from PIL import Image

DRAWS = np.random.default_rng(0)
PIXELS = DRAWS.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


class Pictures:
    classes = ["ant", "bee", "cat"]

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        return Image.fromarray(PIXELS[self.rows[row]]), LABELS[self.rows[row]]


class Broken(Pictures):
    def __getitem__(self, row):
        raise RuntimeError("no disk")


def pictures():
    return {"train": Pictures(range(6)), "validation": Pictures(range(6, 9)), "test": Pictures(range(9, 12))}


def arrays():
    return {"train": (PIXELS, LABELS)}


def floats():
    first = PIXELS.transpose(0, 3, 1, 2) / np.float32(255)
    return {"train": (first, LABELS), "test": (PIXELS[..., 0], LABELS), "classes": ["x", "y", "z"]}


def normalized():
    return {"train": (PIXELS / 255 - 0.5, LABELS), "test": (PIXELS, LABELS)}


def fractions():
    return {"train": (PIXELS, LABELS + 0.5), "test": (PIXELS, LABELS)}


def unknown():
    return {"train": (PIXELS, LABELS), "test": (PIXELS, LABELS + 1)}


def short():
    return {"train": (PIXELS, LABELS[:3]), "test": (PIXELS, LABELS)}


def broken():
    return {"train": Broken(range(6)), "test": Pictures(range(6))}


def pair():
    return Pictures(range(6)), Pictures(range(6))


def extra():
    return {"train": Pictures(range(6)), "valid": Pictures(range(6))}


def text():
    return {"train": "a", "test": "b"}


def raises():
    raise ValueError("no such day")
"""


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / "my_pictures.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_pictures", None)


def pixels():
    return sys.modules["my_pictures"].PIXELS.transpose(0, 3, 1, 2)


def test_a_function_gives_data_sets_of_pictures():
    splits = load("own:my_pictures:pictures")
    assert splits.classes == ("ant", "bee", "cat")
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [6, 3, 3]
    assert splits.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert np.array_equal(splits.test.images.numpy(), pixels()[9:])
    assert load("own:my_pictures:pictures", size=4).train.size == 4


def test_arrays_with_a_share_for_testing():
    with pytest.warns(UserWarning, match="3 of the 12 images of own:my_pictures:arrays, the same in every run"):
        splits = load("own:my_pictures:arrays", test=0.25)
    assert [len(splits.train), len(splits.test)] == [9, 3]
    assert splits.classes == ("0", "1", "2")


def test_floats_of_to_tensor_and_grey_images():
    splits = load("own:my_pictures:floats")
    assert splits.classes == ("x", "y", "z")
    assert np.array_equal(splits.train.images.numpy(), pixels())
    assert torch.equal(splits.test.images[:, 0], splits.test.images[:, 2])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        (
            "my_pictures:arrays",
            "own:my_pictures:arrays gives no test images; give some, or hold out a share of them by",
        ),
        (
            "my_pictures:none",
            "cannot load the data own:my_pictures:none (AttributeError: module 'my_pictures' has no at",
        ),
        (
            "no_pictures:make",
            "cannot load the data own:no_pictures:make (ModuleNotFoundError: No module named 'no_pict",
        ),
        (
            "my_pictures:raises",
            "cannot load the data own:my_pictures:raises (ValueError: no such day); write own:MODULE",
        ),
        ("my_pictures", "cannot read own:my_pictures; write own:MODULE:CALLABLE, such as own:my_data:make"),
        (
            "my_pictures:pair",
            'own:my_pictures:pair must give a mapping of "train" and "test" to a data set each, or to ',
        ),
        ("my_pictures:extra", "own:my_pictures:extra gives 'valid', but has train, validation, test and classes"),
        ("my_pictures:text", "train of own:my_pictures:text is str, but must be a map-style data set"),
        (
            "my_pictures:broken",
            "cannot read train of own:my_pictures:broken (RuntimeError: no disk); its items must be",
        ),
        (
            "my_pictures:normalized",
            "image 0 in train of own:my_pictures:normalized holds floats other than bytes / 255",
        ),
        ("my_pictures:fractions", "the labels of train of own:my_pictures:fractions are no whole numbers"),
        ("my_pictures:unknown", "test of own:my_pictures:unknown has the label 3, but there are 3 classes, from 0"),
        ("my_pictures:short", "train of own:my_pictures:short has 12 images and 3 labels; give one label for each"),
    ],
)
def test_mistakes_are_answered(name, answer):
    with pytest.raises(UserError) as caught:
        load(f"own:{name}")
    assert str(caught.value).startswith(answer.replace("a share of them by", "a share by"))


def test_a_share_beside_test_images_is_refused():
    with pytest.raises(UserError, match="has test images, so there is nothing to draw"):
        load("own:my_pictures:pictures", test=0.2)


def test_the_prefix_is_named_where_it_is_missing():
    with pytest.raises(
        UserError, match=r"no data source 'my_pictures'; for data of your own write own:my_pictures:arr"
    ):
        load("my_pictures:arrays")


def test_a_record_names_no_module_by_itself():
    require_data_module("own:my_pictures:arrays", ["my_pictures"], "the run in 'a'")
    require_data_module("folder:own:x", [], "the run in 'a'")
    with pytest.raises(UserError) as caught:
        require_data_module("own:my_pictures:arrays", ["other"], "the run in 'a'")
    assert str(caught.value) == (
        "the run in 'a' names the data 'own:my_pictures:arrays', whose module is imported only if you name it: pass "
        "--modules my_pictures (in Python, modules=['my_pictures']) if you trust it"
    )
