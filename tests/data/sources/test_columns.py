"""Choice of the image and label columns."""

import json

import pyarrow as pa
import pytest

from selfdistill.data import load
from selfdistill.errors import UserError
from tests.helpers.image_files import channels_first, encoded, picture, write

CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
LABELS = [0, 1]


def cells(start):
    return pa.array([{"bytes": encoded(start + k), "path": None} for k in range(2)], CELL)


def read(root, columns, features=None, query=""):
    """Training images of a data set whose files all have the same columns."""
    made = pa.table(columns)
    if features:
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    for split in ("train", "test"):
        write(root / f"{split}.parquet", made)
    return load(f"parquet:{root}{query}").train


def shows(images, seed):
    """Whether the first image is the picture of a seed."""
    return (images.images[0].numpy() == channels_first(picture(seed))).all()


IMAGE, CLASS = {"_type": "Image"}, {"_type": "ClassLabel", "names": ["a", "b"]}


@pytest.mark.parametrize(
    ("columns", "features", "query", "right"),
    [
        (["mask", "image"], None, "", "image"),
        (["depth", "annotation", "img"], None, "", "img"),
        (["mask", "Image"], None, "", "Image"),
        (["mask", "scan"], {"scan": IMAGE}, "", "scan"),
        (["mask", "image"], {"mask": IMAGE}, "", "image"),
        (["mask", "image"], None, "?image=mask", "mask"),
        (["mask", "scan"], None, "?image=scan&label=label", "scan"),
        (["x"], None, "", "x"),
    ],
)
def test_the_image_column(tmp_path, columns, features, query, right):
    found = read(tmp_path, {each: cells(10 * k) for k, each in enumerate(columns)} | {"label": LABELS}, features, query)
    assert shows(found, 10 * columns.index(right))


def test_bytes_that_are_no_image_may_stand_before_it(tmp_path):
    columns = {"md5": [b"0", b"1"], "scan": cells(3), "label": LABELS}
    assert shows(read(tmp_path, columns, {"scan": IMAGE}), 3)


@pytest.mark.parametrize(
    ("columns", "features", "query", "message"),
    [
        (
            {"mask": cells(0), "scan": cells(1), "label": LABELS},
            None,
            "",
            r"has 2 columns that may hold the images: mask, scan; name one by \?image=COLUMN, such as \?image=mask",
        ),
        ({"image": cells(0), "img": cells(1), "label": LABELS}, None, "", r"may hold the images: image, img; name one"),
        ({"a": cells(0), "b": cells(1), "label": LABELS}, {"a": IMAGE, "b": IMAGE}, "", r"may hold the images: a, b"),
        (
            {"image": [[1, 2], [3, 4]], "mask": cells(0), "label": LABELS},
            None,
            "",
            r"the column 'image' of train.parquet is list<.*but images are bytes .*\?image=COLUMN",
        ),
        (
            {"image": cells(0), "label": LABELS},
            None,
            "?image=scan",
            r"no columns 'scan' and 'label' .* but image, label",
        ),
        ({"image": cells(0), "label": LABELS}, None, "?image=label", r"the column 'label' of train.parquet is int64"),
        ({"image": cells(0), "label": cells(1)}, None, "", r"labels must be whole numbers .*'label' .* is struct<"),
        ({"image": cells(0), "label": LABELS, "labels": LABELS}, None, "", r"may hold the labels: label, labels; name"),
        (
            {"image": cells(0), "species": LABELS, "family": LABELS},
            {"species": CLASS, "family": CLASS},
            "",
            r"has 2 columns that may hold the labels: species, family; name one by \?label=COLUMN",
        ),
        (
            {"paths": ["a", "b"], "label": LABELS},
            None,
            "",
            r"no column .* a column of paths is named by \?image=COLUMN",
        ),
    ],
)
def test_what_is_not_clear_is_asked(tmp_path, columns, features, query, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, columns, features, query)


def test_two_columns_of_one_name_are_named(tmp_path):
    made = pa.table([cells(0), cells(5), pa.array(LABELS)], names=["image", "image", "label"])
    for split in ("train", "test"):
        write(tmp_path / f"{split}.parquet", made)
    with pytest.raises(UserError, match=r"several columns 'image'|may hold the images: image, image"):
        load(f"parquet:{tmp_path}")


def test_the_only_class_label_of_the_metadata_is_the_label(tmp_path):
    columns = {"image": cells(0), "width": [8, 8], "species": [1, 0]}
    assert read(tmp_path, columns, {"species": CLASS, "width": {"_type": "Value"}}).labels.tolist() == [1, 0]
