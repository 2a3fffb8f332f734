import sys
from types import SimpleNamespace

import numpy as np
import pytest

from selfdistill.data import load
from selfdistill.errors import UserError
from tests.helpers.image_files import channels_first, encoded, picture, table


class Image:
    """Stands in for the feature type of `datasets`."""

    def __init__(self, decode=True):
        self.decode = decode


class Features(dict):
    """Stands in for the features of `datasets`, with the schema that they make."""

    def __init__(self, schema):
        super().__init__({"img": Image(), "label": object()})
        self.arrow_schema = schema


class Split:
    """Stands in for a split of `datasets`: its table can be had once its images are cast undecoded."""

    def __init__(self, made, cast=False):
        self.made, self.cast, self.features = made, cast, Features(made.schema)

    def cast_column(self, column, feature):
        assert (column, feature.decode) == ("img", False)
        return Split(self.made, cast=True)

    def with_format(self, form):
        assert (form, self.cast) == ("arrow", True)
        return self

    def __getitem__(self, rows):
        return self.made[rows]


def split(start, labels):
    return Split(table([encoded(start + k) for k in range(len(labels))], label=labels))


@pytest.fixture
def hub(monkeypatch):
    """The library with one data set."""
    sets = {
        "org/set": {"train": split(0, [0, 1, 0, 1]), "test": split(9, [1])},
        "org/more": {
            "Train": split(0, [0, 1]),
            "val": split(9, [1, 0, 1]),
            "test": split(6, [-1, -1]),
            "extra": split(3, [0]),
        },
        "org/twice": {"train": split(0, [0, 1]), "valid": split(9, [1]), "validation": split(5, [0])},
        "org/half": {"train": split(0, [0, 1])},
    }

    def load_dataset(path, trust_remote_code):
        assert trust_remote_code is False
        if path not in sets:
            raise FileNotFoundError(f"{path} is not on the hub\nand more")
        return sets[path]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(Image=Image, load_dataset=load_dataset))


@pytest.mark.usefixtures("hub")
def test_a_set_of_the_hub_is_read():
    splits = load("hub:org/set")
    assert splits.train.labels.tolist() == [0, 1, 0, 1]
    assert np.array_equal(splits.train.images[3].numpy(), channels_first(picture(3)))
    assert len(load("hub:org/set?label=label", limit=2).train) == 2


@pytest.mark.usefixtures("hub")
def test_splits_by_other_names_and_without_labels_are_told():
    notes = []
    splits = load("hub:org/more", on_note=notes.append)
    assert (len(splits.train), splits.validation, splits.test.labels.tolist()) == (2, None, [1, 0, 1])
    assert notes[0] == "left out these splits of hub:org/more: extra"
    assert notes[1].startswith("the test images of hub:org/more have no labels and are left out")


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hub:org/none", r"cannot load hub:org/none: org/none is not on the hub; check its name"),
        ("hub:org/half", r"hub:org/half has no train, or no test and no validation split; it has train"),
        ("hub:org/twice", r"hub:org/twice has 2 validation splits, valid and validation; take a data set with one"),
        ("hub:org/set?label=kind", r"hub:org/set has no columns 'img' and 'kind' in train, but img, label"),
    ],
)
def test_what_cannot_be_had_is_said(spec, message):
    with pytest.raises(UserError, match=message):
        load(spec)


def test_without_the_library_the_way_to_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'selfdistill\[hub\]'"):
        load("hub:org/set")
