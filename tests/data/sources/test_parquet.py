import numpy as np
import pyarrow as pa
import pytest
import torch

from selfdistill.data import load
from selfdistill.data.subsets import stratified
from selfdistill.errors import UserError
from tests.helpers.image_files import channels_first, encoded, picture, save, table, write

NAMES = ["ant", "bee", "cat"]


def rows(start, count, **options):
    """`count` images with the seeds from `start`, in three classes."""
    labels = [k % 3 for k in range(count)]
    return table([encoded(start + k) for k in range(count)], **{"label": labels, **options})


def hub(root, train=None, test=None):
    write(root / "train-00000-of-00001.parquet", rows(0, 12) if train is None else train)
    write(root / "test-00000-of-00001.parquet", rows(50, 6) if test is None else test)
    return root


def read(root, query="", **options):
    return load(f"parquet:{root}{query}", **options)


def test_rows_are_read_in_order_from_every_file(tmp_path):
    write(tmp_path / "train-00000-of-00002.parquet", rows(0, 6))
    write(tmp_path / "train-00001-of-00002.parquet", rows(6, 6))
    write(tmp_path / "test-00000-of-00001.parquet", rows(50, 6))
    splits = read(tmp_path)
    assert splits.train.labels.tolist() == [0, 1, 2] * 4
    assert splits.validation is None
    for row in range(12):
        assert np.array_equal(splits.train.images[row].numpy(), channels_first(picture(row)))
    assert np.array_equal(splits.test.images[2].numpy(), channels_first(picture(52)))


def test_a_folder_data_and_a_validation_set(tmp_path):
    for split, count in (("train", 9), ("validation", 6), ("test", 3)):
        write(tmp_path / "data" / f"{split}-00000-of-00001.parquet", rows(0, count))
    splits = read(tmp_path)
    assert splits.validation is not None
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [9, 6, 3]


@pytest.mark.parametrize("held", ["validation", "valid", "val"])
def test_a_validation_set_alone_is_the_test_set(tmp_path, held):
    write(tmp_path / "train.parquet", rows(0, 9))
    write(tmp_path / f"{held}.parquet", rows(0, 6))
    assert (read(tmp_path).validation, len(read(tmp_path).test)) == (None, 6)


def test_class_names_come_from_the_metadata(tmp_path):
    made = rows(0, 12, names={"label": NAMES})
    assert read(hub(tmp_path, train=made)).classes == tuple(NAMES)


def test_without_names_classes_are_numbered(tmp_path):
    assert read(hub(tmp_path)).classes == ("0", "1", "2")


def test_the_fine_label_is_preferred_and_another_can_be_asked_for(tmp_path):
    names = {"fine_label": NAMES, "coarse_label": ["insect", "mammal"]}
    made = rows(0, 6, image="image", fine_label=[0, 1, 2] * 2, coarse_label=[0, 0, 1] * 2, names=names)
    hub(tmp_path, train=made.drop(["label"]), test=made)
    assert read(tmp_path).classes == tuple(NAMES)
    coarse = read(tmp_path, "?label=coarse_label")
    assert coarse.classes == ("insect", "mammal")
    assert coarse.train.labels.tolist() == [0, 0, 1] * 2


def test_a_column_of_bytes_is_images_too(tmp_path):
    made = pa.table({"picture": [encoded(k) for k in range(6)], "label": [0, 1] * 3})
    splits = read(hub(tmp_path, train=made, test=made))
    assert np.array_equal(splits.train.images[5].numpy(), channels_first(picture(5)))


def test_only_the_chosen_rows_are_decoded(tmp_path):
    chosen = read(hub(tmp_path), limit=3, seed=4).train.images
    kept = {images.numpy().tobytes() for images in chosen}
    cells = [k if channels_first(picture(k)).tobytes() in kept else None for k in range(12)]
    broken = table([b"broken" if k is None else encoded(k) for k in cells], label=[0, 1, 2] * 4)
    assert read(hub(tmp_path, train=broken), limit=3, seed=4).train.images.equal(chosen)
    assert torch.bincount(read(tmp_path, limit=3, seed=4).train.labels).tolist() == [1, 1, 1]


def cells(broken=None, count=12):
    """The encoded images, the seventh of them replaced."""
    return [broken if k == 7 else encoded(k) for k in range(count)]


LABEL = [0, 1, 2] * 4


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            table(cells(b"broken"), label=LABEL),
            r"image in row 7 of train-0.*parquet: it has no known image format",
        ),
        (table(cells(None), label=LABEL), r"cannot read the image in row 7 of train-0.*: it is empty"),
        (
            table(cells(encoded(7, size=9)), label=LABEL),
            r"row 0 of .* has 8x8 pixels, in row 7 of .* 9x9; pass --size",
        ),
        (
            rows(0, 12, label=[0, 1, 2, 3] * 3, names={"label": NAMES}),
            r"label in row 3 of train-0.* is 3, .* 3 classes",
        ),
        (rows(0, 12, label=[0, 1, -1] * 4), r"label in row 2 of train-0.* is -1"),
        (rows(0, 12, label=[0, 1, 7000] * 4), r"'label' of .* goes up to 7000 in 12 rows.*\?label=COLUMN"),
        (
            rows(0, 12, label=[0, 2, 0] * 4, names={"label": NAMES}),
            r"1 of 3 classes .* no training image \(bee\)",
        ),
        (rows(0, 12, label=[0] * 12), r"has 1 class"),
        (rows(0, 12, label=[["ant"]] * 12), r"labels must be whole numbers or names, .*'label' .* is list<"),
        (rows(0, 12, label=[None, *LABEL[1:]]), r"label in row 0 of train-0.* is missing, so 1 of 12 images there"),
        (
            rows(0, 12).rename_columns(["img", "kind"]),
            r"no columns 'img' and 'label' in train-0.* but img, kind",
        ),
        (pa.table({"label": LABEL}), r"no column of .* holds images \(a struct with bytes\); it has label"),
        (rows(0, 0, label=pa.array([], pa.int64())), r"there are no rows in train-0"),
    ],
)
def test_a_mistake_in_the_rows_is_named(tmp_path, train, message):
    with pytest.raises(UserError, match=message):
        read(hub(tmp_path, train=train))


def test_rows_are_counted_by_file(tmp_path):
    hub(tmp_path)
    (tmp_path / "train-00000-of-00001.parquet").rename(tmp_path / "train-00000-of-00002.parquet")
    write(tmp_path / "train-00001-of-00002.parquet", table(cells(b"broken"), label=LABEL))
    with pytest.raises(UserError, match=r"in row 7 of train-00001-of-00002.parquet"):
        read(tmp_path)


def test_a_chosen_row_is_named_by_its_place_in_the_file(tmp_path):
    hub(tmp_path, train=table([b"broken"] * 12, label=LABEL))
    first = int(stratified(torch.tensor(LABEL), 3, seed=4)[0])
    assert first > 0  # else this shows nothing
    with pytest.raises(UserError, match=rf"in row {first} of train-0"):
        read(tmp_path, limit=3, seed=4)


def test_test_labels_are_checked_before_a_training_image_is_read(tmp_path):
    hub(tmp_path, train=table([b"broken"] * 12, label=LABEL), test=rows(0, 3, label=[0, -1, 0]))
    with pytest.raises(UserError, match=r"label in row 1 of test-0.* is -1"):
        read(tmp_path)


def test_a_test_file_without_rows_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no rows in test-0"):
        read(hub(tmp_path, test=rows(0, 0, label=pa.array([], pa.int64()))))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder '.*nowhere'; parquet:PATH holds train-"):
        read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"needs train-\*.parquet, and test-.*it holds no \*.parquet"):
        read(tmp_path)
    write(tmp_path / "train-0.parquet", rows(0, 6))
    with pytest.raises(UserError, match=r"it holds train-0.parquet"):
        read(tmp_path)


def test_a_broken_file_is_named(tmp_path):
    hub(tmp_path)
    (tmp_path / "test-00000-of-00001.parquet").write_bytes(b"PAR1 but cut short")
    with pytest.raises(UserError, match=r"cannot read '.*test-00000-of-00001.parquet'.*fetch the file again"):
        read(tmp_path)


def test_files_of_different_columns_are_refused(tmp_path):
    write(tmp_path / "train-0.parquet", rows(0, 3))
    write(tmp_path / "train-1.parquet", rows(9, 3, image="image"))
    write(tmp_path / "test.parquet", rows(20, 3))
    with pytest.raises(
        UserError, match=r"no columns 'img' and 'label' in train-1.parquet, but image, label; name them"
    ):
        read(tmp_path)


def test_an_unknown_option_is_refused(tmp_path):
    with pytest.raises(
        UserError,
        match=r"cannot read \?split=x; the options are \?image=COLUMN, \?label=COLUMN, \?group=COLUMN, \?range=",
    ):
        read(tmp_path, "?split=x")


def test_columns_may_have_another_order_and_kind_in_each_file(tmp_path):
    first, second = rows(0, 6, more=list("abcdef")), rows(6, 6)
    write(tmp_path / "train-00000-of-00002.parquet", first.select(["more", "label", "img"]))
    changed = second.set_column(1, "label", second["label"].cast(pa.uint8()))
    write(tmp_path / "train-00001-of-00002.parquet", changed)
    write(tmp_path / "test.parquet", rows(50, 3))
    splits = read(tmp_path)
    assert splits.train.labels.tolist() == [0, 1, 2] * 4
    assert np.array_equal(splits.train.images[7].numpy(), channels_first(picture(7)))


def test_classes_are_matched_by_name_in_every_file(tmp_path):
    write(tmp_path / "train-0.parquet", rows(0, 3, names={"label": ["ant", "bee", "cat"]}))
    write(tmp_path / "train-1.parquet", rows(3, 3, names={"label": ["cat", "ant", "bee"]}))
    write(tmp_path / "validation.parquet", rows(6, 3, names={"label": ["bee", "cat", "ant"]}))
    write(tmp_path / "test.parquet", rows(9, 3, label=["cat", "cat", "ant"]))
    splits = read(tmp_path)
    assert splits.classes == ("ant", "bee", "cat")
    assert splits.train.labels.tolist() == [0, 1, 2, 2, 0, 1]
    assert splits.validation.labels.tolist() == [1, 2, 0]
    assert splits.test.labels.tolist() == [2, 2, 0]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_sorted_texts_are_the_classes(tmp_path, kind):
    made = rows(0, 6, label=pa.array(["cow", "ant", "bee"] * 2, pa.string()).cast(kind))
    splits = read(hub(tmp_path, train=made, test=rows(9, 3, label=["ant", "ant", "cow"])))
    assert splits.classes == ("ant", "bee", "cow")
    assert splits.train.labels.tolist() == [2, 0, 1] * 2
    assert splits.test.labels.tolist() == [0, 0, 2]


UNLABELLED = {
    "minus one": [-1] * 3,
    "null": pa.array([None] * 3, pa.int64()),
    "null of no type": pa.nulls(3),
    "minus one, unsigned": pa.array([2**64 - 1] * 3, pa.uint64()),
    "a byte of minus one": pa.array([255] * 3, pa.uint8()),
    "not a number": [float("nan")] * 3,
    "no text": ["", "", None],
    "some of both": [-1, None, -1],
}


@pytest.mark.parametrize("label", UNLABELLED.values(), ids=UNLABELLED.keys())
def test_a_test_split_without_labels_gives_way_to_the_validation_split(tmp_path, label):
    hub(tmp_path, test=rows(50, 3, label=label))
    with pytest.raises(
        UserError, match=r"the test images of .* have no labels .* add validation-\*.parquet with labels"
    ):
        read(tmp_path)
    write(tmp_path / "validation.parquet", rows(60, 6))
    notes = []
    splits = read(tmp_path, on_note=notes.append)
    assert (splits.validation, len(splits.test)) == (None, 6)
    assert len(notes) == 1
    assert notes[0].endswith("have no labels and are left out, so the validation images are the test images")


def test_a_test_split_without_the_label_column_has_no_labels(tmp_path):
    write(tmp_path / "validation.parquet", rows(60, 6))
    hub(tmp_path, test=rows(50, 3).drop(["label"]))
    with pytest.warns(UserWarning, match="the test images .* have no labels"):
        assert len(read(tmp_path).test) == 6


def test_a_validation_split_without_labels_is_left_out(tmp_path):
    write(tmp_path / "validation.parquet", rows(60, 6, label=[-1] * 6))
    with pytest.warns(UserWarning, match="the validation images .* have no labels and are left out$"):
        assert read(hub(tmp_path)).validation is None


def test_files_that_belong_to_no_split_are_told(tmp_path):
    write(tmp_path / "train-clean-00000-of-00001.parquet", rows(60, 6))
    with pytest.warns(UserWarning, match="left out 1 file .* belong to no split: train-clean-00000-of-00001.parquet"):
        assert len(read(hub(tmp_path)).train) == 12


def paths(names, **labels):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table({"image": pa.array([{"bytes": None, "path": each} for each in names], kind), **labels})


@pytest.mark.parametrize("as_text", [False, True])
def test_cells_that_hold_only_a_path_are_read_from_the_folder(tmp_path, as_text):
    names = ["images/a.png", "images/b.png"]
    for k, name in enumerate(names):
        save(tmp_path / name, seed=k)
    made = pa.table({"image": names, "label": [0, 1]}) if as_text else paths(names, label=[0, 1])
    write(tmp_path / "train.parquet", made)
    write(tmp_path / "data" / "test.parquet", made)
    splits = read(tmp_path)
    for images in (splits.train.images, splits.test.images):
        assert np.array_equal(images[1].numpy(), channels_first(picture(1)))


@pytest.mark.parametrize("path", ["gone.png", "../beside.png", "/etc/hostname", "x" * 300])
def test_a_path_without_a_file_in_the_folder_is_named(tmp_path, path):
    save(tmp_path / "beside.png")
    save(tmp_path / "set" / "a.png")
    write(tmp_path / "set" / "train.parquet", paths(["a.png", path], label=[0, 1]))
    write(tmp_path / "set" / "test.parquet", rows(0, 2, image="image"))
    with pytest.raises(UserError, match=r"image in row 1 of train.parquet is only a path, '.*', .* write their bytes"):
        read(tmp_path / "set")
