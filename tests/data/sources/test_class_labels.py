"""Class labels of tables, matched by name."""

import json

import pyarrow as pa
import pytest

from selfdistill.data.sources.class_labels import (
    LabelColumn,
    class_ids,
    class_names,
    is_unlabelled,
    read_labels,
    require_comparable,
)
from selfdistill.data.sources.table_file import TableFile
from selfdistill.errors import UserError


def column(labels, names=None, table="a.parquet"):
    return LabelColumn(table, labels, names)


def table(labels, names=None):
    made = pa.table({"label": labels})
    if names is not None:
        info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": names}}}}
        made = made.replace_schema_metadata({"huggingface": json.dumps(info)})
    return TableFile("a.parquet", made.schema, len(made), made.select, ())


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([1, 0], pa.uint8()), [1, 0]),
        ([1.0, float("nan"), None, 0.0], [1, None, None, 0]),
        ([True, False, None], [1, 0, None]),
        (["cat", "", None], ["cat", None, None]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ["b", "a", "b"]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
    ],
)
def test_labels_of_many_kinds(labels, expected):
    assert read_labels(table(labels), "label").labels == expected


def test_a_table_without_the_column_has_no_labels():
    assert read_labels(table([0, 1]), "kind").labels == [None, None]


@pytest.mark.parametrize("names", [["a", "b"], {"0": "a", "1": "b"}])
def test_names_of_the_metadata(names):
    assert read_labels(table([0, 1], names), "label").names == ("a", "b")


def test_names_by_number_are_sorted_as_numbers():
    names = {str(k): f"class {k}" for k in (10, 9, 1, 0, 2, 3, 4, 5, 6, 7, 8)}
    assert read_labels(table([0, 1], names), "label").names == tuple(f"class {k}" for k in range(11))


def test_true_and_false_are_two_classes():
    found = read_labels(table([True, False]), "label")
    assert class_names([found], "label", "") == ("False", "True")
    assert class_ids(found, ("False", "True")).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [0.0, 0.5],
            r"label in row 1 of a.parquet is 0.5, but classes are whole numbers or names; name another column",
        ),
        ([float("inf")], r"label in row 0 of a.parquet is inf"),
        ([[0], [1]], r"names, one for each image, but 'label' of a.parquet is list<"),
        ([b"cat"], r"'label' of a.parquet is binary"),
    ],
)
def test_labels_of_another_kind_are_named(labels, message):
    with pytest.raises(UserError, match=message):
        read_labels(table(labels), "label")


def test_names_are_joined_in_the_order_of_the_files():
    train = [column([0, 1], ("b", "a")), column([0, 1], ("c", "b"))]
    assert class_names(train, "label", "") == ("b", "a", "c")
    assert class_ids(train[1], ("b", "a", "c")).tolist() == [2, 0]


def test_texts_are_sorted_and_numbers_in_them_by_value():
    assert class_names([column(["10", "9", "b", "a", None])], "label", "") == ("9", "10", "a", "b")
    assert class_names([column(["dog"], ("dog", "cat")), column(["cat"])], "label", "") == ("dog", "cat")


def test_a_name_of_two_classes_is_no_matter_where_all_files_number_alike():
    names = ("crane", "cat", "crane")
    assert class_names([column([0, 2], names), column([1], names)], "label", "") == names
    assert class_ids(column([2, 0], names), names).tolist() == [2, 0]
    with pytest.raises(UserError, match=r"two classes of data are called 'crane', and its files number"):
        class_names([column([0], names), column([0], ("cat", "crane", "dog"))], "label", "data")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            column([1, 0], ("cat", "bird"), "test.parquet"),
            r"row 0 of test.parquet is 1, the class 'bird', .* test.parquet has cat, bird, they have cat, dog",
        ),
        (column(["cat", "Dog"]), r"row 1 of a.parquet is 'Dog', the class 'Dog', which the training files do not have"),
        (column([0, 2]), r"row 1 of a.parquet is 2, but there are 2 classes, 0 to 1; fix the label"),
        (column([0, -2]), r"row 1 of a.parquet is -2, but"),
        (column([0, 3], ("dog", "cat", "dog")), r"row 1 of a.parquet is 3, but there are 3 classes"),
        (column([0, 2**63]), r"row 1 of a.parquet is 9223372036854775808, but"),
    ],
)
def test_a_class_that_training_has_not_is_named(found, message):
    with pytest.raises(UserError, match=message):
        class_ids(found, ("cat", "dog"))


def test_an_unused_name_does_no_harm():
    assert class_ids(column([1, 1], ("bird", "cat")), ("cat", "dog")).tolist() == [0, 0]


@pytest.mark.parametrize(
    "others",
    [
        [column(["cat"], table="b.parquet")],
        [column([0], ("cat", "dog"), "b.parquet"), column([0], ("dog", "cat"), "c.parquet")],
    ],
)
def test_plain_numbers_beside_names_have_no_meaning(others):
    with pytest.raises(UserError, match=r"labels of a.parquet are numbers without class names, .*\(b.parquet: cat"):
        require_comparable([column([0, 1]), *others])
    require_comparable([column([None, -1]), *others])


def test_plain_numbers_beside_one_list_of_names_are_its_numbers():
    plain, *named = column([0, 1]), column([0], ("cat", "dog")), column([1], ("cat", "dog"))
    require_comparable([plain, *named])
    assert class_ids(plain, class_names([plain, *named], "label", "here")).tolist() == [0, 1]


@pytest.mark.parametrize("label", [None, -1, 2**8 - 1, 2**32 - 1, 2**64 - 1])
def test_what_stands_for_no_label(label):
    assert is_unlabelled([column([label, label]), column([None])], ("a", "b"))
    assert class_ids(column([0, label]), ("a", "b")).tolist() == [0, -1]
    assert not is_unlabelled([column([label, 0])], ("a", "b"))


def test_255_is_a_class_among_256():
    assert class_ids(column([255]), [str(k) for k in range(256)]).tolist() == [255]


def test_numbers_that_begin_above_zero_are_no_class_ids():
    with pytest.raises(
        UserError, match=r"'label' of data goes from 1 to 2, but class ids begin with 0; subtract 1, or"
    ):
        class_names([column([1, 2, 2])], "label", "data")
