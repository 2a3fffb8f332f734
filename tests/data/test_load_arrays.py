import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import selfdistill as sd
from selfdistill.data import Examples, load, load_masks, load_tensors
from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.sources import task_of
from selfdistill.errors import UserError


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def ids(count, classes=3):
    return np.arange(count) % classes


def saved(root, **arrays):
    """Write arrays to an .npz file; return its specification."""
    np.savez(root / "data.npz", **arrays)
    return f"tensors:{root / 'data.npz'}"


def read(spec, **options):
    notes = []
    splits = load_tensors(spec, on_note=notes.append, **options)
    assert splits.notes == tuple(notes)
    return splits


def refused(answer, spec, **options):
    with pytest.raises(UserError) as caught:
        read(spec, **options)
    assert str(caught.value) == answer


def small(**others):
    """Arrays of signals with classes."""
    return {"x_train": values(9, 2, 16), "y_train": ids(9), "x_test": values(6, 2, 16), "y_test": ids(6)} | others


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [("x_{}", "y_{}"), ("X_{}", "Y_{}"), ("{}_images", "{}_labels"), ("{}_x", "{}_target"), ("signals_{}", "label_{}")],
)
@pytest.mark.parametrize("held", ["val", "validation", "dev"])
def test_arrays_of_splits_by_their_names(tmp_path, inputs, labels, held):
    counts = {"train": 9, held: 3, "test": 6}
    arrays = {inputs.format(split): values(n, 2, 16) for split, n in counts.items()}
    splits = read(saved(tmp_path, **arrays, **{labels.format(split): ids(n) for split, n in counts.items()}))
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [9, 3, 6]
    assert splits.train.labels.tolist() == ids(9).tolist()
    assert (splits.classes, splits.task) == (("0", "1", "2"), "classify")
    if "images" not in inputs:
        assert np.array_equal(splits.test.inputs.numpy(), values(6, 2, 16).astype(np.float32))


@pytest.mark.parametrize(
    ("dtype", "found"),
    [
        ("float64", "float32"),
        ("float16", "float32"),
        (">f4", "float32"),
        ("longdouble", "float32"),
        ("uint8", "uint8"),
        ("int32", "int64"),
        ("uint32", "int64"),
        ("bool", "bool"),
    ],
)
def test_kinds_of_a_table(tmp_path, dtype, found):
    table = np.arange(27).reshape(9, 3).astype(dtype)
    splits = read(saved(tmp_path, **small(x_train=table, x_test=table[:6])))
    assert splits.train.inputs.dtype == getattr(torch, found)
    assert np.array_equal(splits.train.inputs.double().numpy(), table.astype(float))


@pytest.mark.parametrize(
    ("shape", "dtype", "name", "found", "note"),
    [
        ((), "float32", "x", (1,), None),
        ((4,), "float32", "x", (4,), None),
        ((2, 16), "float32", "x", (2, 16), None),
        ((16, 2), "float32", "x", (16, 2), "x of 16x2 has its channels first and is read as 16x2"),
        ((8, 8), "uint8", "x", (1, 8, 8), "x of 8x8 has no channels and is read as 1x8x8"),
        ((8, 8), "float32", "image", (1, 8, 8), "image of 8x8 has no channels and is read as 1x8x8"),
        ((3, 8, 8), "uint8", "x", (3, 8, 8), None),
        ((13, 8, 8), "float32", "x", (13, 8, 8), None),
        ((8, 6, 3), "float32", "x", (3, 8, 6), "x of 8x6x3 has its channels last and is read as 3x8x6"),
        ((8, 8, 8), "uint8", "x", (1, 8, 8, 8), "x of 8x8x8 has no channels and is read as 1x8x8x8"),
        ((1, 4, 8, 6), "float32", "x", (1, 4, 8, 6), None),
        ((5, 8, 6, 3), "uint8", "x", (3, 5, 8, 6), "x of 5x8x6x3 has its channels last and is read as 3x5x8x6"),
    ],
)
def test_channels_come_first(tmp_path, shape, dtype, name, found, note):
    array = (values(6, *shape) * 30 + 100).astype(dtype)
    splits = read(saved(tmp_path, **{name: array, "labels": ids(6), "split": ids(6, 2) * 2}))
    assert splits.train.inputs.shape[1:] == found
    assert splits.train.inputs.numpy().sum() == pytest.approx(array[::2].sum(), rel=1e-4)
    said = f"{note}, unless ?channels=first, last or none says otherwise"
    assert splits.notes == ((said,) if note else ())


@pytest.mark.parametrize(("channels", "found"), [("first", (8, 6, 3)), ("last", (3, 8, 6)), ("none", (1, 8, 6, 3))])
def test_the_option_says_where_channels_are(tmp_path, channels, found):
    spec = saved(tmp_path, x=values(6, 8, 6, 3), labels=ids(6), split=ids(6, 2) * 2)
    splits = read(f"{spec}?channels={channels}")
    assert splits.train.inputs.shape[1:] == found
    assert splits.notes == ()
    refused("cannot read ?channels=middle; write first, last or none", f"{spec}?channels=middle")


def test_integers_of_more_dimensions_are_values(tmp_path):
    volume = np.arange(9 * 1 * 2 * 3 * 4, dtype=np.int16).reshape(9, 1, 2, 3, 4) - 100
    splits = read(saved(tmp_path, **small(x_train=volume, x_test=volume[:6])))
    assert splits.train.inputs.dtype == torch.float32
    assert np.array_equal(splits.train.inputs.numpy(), volume)


def test_several_inputs_are_a_mapping(tmp_path):
    arrays = {
        f"{split}_{name}": array[:n]
        for split, n in (("train", 9), ("test", 6))
        for name, array in (("input_ids", ids(90).reshape(9, 10)), ("attention_mask", np.ones((9, 10), bool)))
    }
    spec = saved(tmp_path, **arrays, y_train=ids(9), y_test=ids(6))
    splits = read(spec)
    assert {name: each.dtype for name, each in splits.train.inputs.items()} == {
        "input_ids": torch.int64,
        "attention_mask": torch.bool,
    }
    assert splits.mean == {}
    one = read(f"{spec}?input=input_ids")
    assert one.train.inputs.shape == (9, 10)
    assert one.notes == (
        f"left out these arrays of {tmp_path / 'data.npz'}: train_attention_mask, test_attention_mask",
    )


def test_a_name_of_a_split_beside_labels_of_all_rows_is_a_name(tmp_path):
    splits = read(saved(tmp_path, dev_id=ids(6), x=values(6, 2), labels=ids(6), split=np.array([0, 0, 0, 2, 2, 2])))
    assert splits.train.inputs.keys() == {"dev_id", "x"}


def test_the_label_is_chosen_by_name(tmp_path):
    spec = saved(tmp_path, **small(kind_train=ids(9, 2), kind_test=ids(6, 2)))
    splits = read(f"{spec}?input=x&label=kind")
    assert splits.classes == ("0", "1")
    assert splits.notes == (f"left out these arrays of {tmp_path / 'data.npz'}: y_train, y_test",)


@pytest.mark.parametrize("split", [np.array([0, 0, 0, 1, 2, 2]), np.array(["train"] * 3 + ["Val", "test", "TEST"])])
def test_an_array_with_the_split_of_each_row(tmp_path, split):
    splits = read(saved(tmp_path, inputs=values(6, 2, 8), labels=ids(6), split=split))
    assert [each.labels.tolist() for each in (splits.train, splits.validation, splits.test)] == [[0, 1, 2], [0], [1, 2]]


def test_without_splits_a_stratified_fifth_is_the_test_set(tmp_path):
    spec = saved(tmp_path, inputs=values(30, 2, 8), labels=ids(30))
    splits = read(spec, seed=1)
    assert splits.notes == (
        f"{tmp_path / 'data.npz'} has no test arrays: 6 of its rows, the same in every run, are the test set",
    )
    assert torch.bincount(splits.test.labels).tolist() == [2, 2, 2]
    assert read(spec, seed=2).test.inputs.equal(splits.test.inputs)
    asked = read(f"{spec}?test=0.5")
    assert asked.notes == ("15 of the 30 rows, the same in every run, are the test set",)
    refused("cannot read ?test=2; write a share between 0 and 1, such as ?test=0.2", f"{spec}?test=2")


def test_a_limit_and_a_validation_share_are_stratified(tmp_path):
    spec = saved(tmp_path, **small(x_train=values(30, 2, 8), x_test=values(6, 2, 8), y_train=ids(30)))
    splits = read(spec, limit=15, validation=0.2, seed=4)
    assert torch.bincount(splits.train.labels).tolist() == [4, 4, 4]
    assert torch.bincount(splits.validation.labels).tolist() == [1, 1, 1]
    assert read(spec, limit=15, validation=0.2, seed=4).train.inputs.equal(splits.train.inputs)
    assert not read(spec, limit=15, validation=0.2, seed=5).train.inputs.equal(splits.train.inputs)


def test_validation_arrays_alone_are_the_test_set(tmp_path):
    arrays = small()
    splits = read(saved(tmp_path, **{name.replace("test", "val"): each for name, each in arrays.items()}))
    assert (splits.validation, len(splits.test)) == (None, 6)


def test_labels_in_a_column_are_classes(tmp_path):
    spec = saved(tmp_path, **small(y_train=ids(9)[:, None].astype(np.uint8), y_test=ids(6)[:, None].astype(float)))
    assert read(spec).train.labels.tolist() == ids(9).tolist()
    assert task_of(spec) == "classify"


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bool"])
def test_labels_of_ones_and_zeros_are_tags(tmp_path, dtype):
    tags = np.array([[1, 0], [1, 1], [0, 0]] * 3).astype(dtype)
    spec = saved(tmp_path, **small(y_train=tags, y_test=tags[:6]))
    splits = read(spec)
    assert (splits.task, task_of(spec), splits.classes) == ("tag", "tag", ("0", "1"))
    assert splits.train.labels.dtype == torch.float32
    assert splits.train.labels[:3].tolist() == [[1, 0], [1, 1], [0, 0]]


def test_unknown_tags_and_one_tag_in_each_row(tmp_path):
    tags = np.array([[1, 0], [0, 1]] * 4 + [[0, 1]])
    splits = read(saved(tmp_path, **small(y_train=tags, y_test=tags[:6])))
    assert splits.notes == (
        "each row of y_train has exactly one tag; if they are classes, store their ids [N] in its place",
    )
    tags[0] = -100
    assert read(saved(tmp_path, **small(y_train=tags, y_test=tags[:6]))).train.labels[0].tolist() == [-100, -100]


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (1, 4, 6)])
def test_labels_of_maps_are_pixels(tmp_path, shape):
    masks = (np.arange(9 * 24) % 3).reshape(9, *shape).astype(np.uint8)
    masks.flat[0] = 255
    images = {"x_train": values(9, 3, 8, 12), "x_test": values(6, 3, 8, 12)}
    spec = saved(tmp_path, **images, y_train=masks, y_test=masks[:6])
    splits = read(spec, limit=8, validation=0.25)
    assert (splits.task, task_of(spec), splits.classes) == ("segment", "segment", ("0", "1", "2"))
    assert splits.test.labels.shape == (6, 4, 6)
    assert splits.test.labels[0, 0].tolist() == [-100, 1, 2, 0, 1, 2]
    assert [len(splits.train), len(splits.validation)] == [6, 2]
    assert read(f"{spec}?ignore=none").notes == ("252 of 256 classes have no training pixel: 3, 4, 5, …",)
    with pytest.raises(UserError, match=r"cannot read \?ignore=x; write the id of pixels without a label"):
        read(f"{spec}?ignore=x")
    masks[:] = 255
    with pytest.raises(UserError, match=r"the training pixels of .* have 0 classes; two are needed"):
        read(saved(tmp_path, **images, y_train=masks, y_test=masks[:6]))


@pytest.mark.parametrize("kind", ["U", "S"])
def test_names_of_classes(tmp_path, kind):
    names = ("ant", "bee", "cat")
    assert read(saved(tmp_path, **small(class_names=np.array(names, kind)))).classes == names
    refused(
        f"class_names of '{tmp_path / 'data.npz'}' holds a name twice; give each class its own name",
        saved(tmp_path, **small(class_names=np.array(["ant", "ant", "cat"]))),
    )
    refused(
        f"'{tmp_path / 'data.npz'}' has the class 2, but there are 2 classes, 0 to 1; correct class_names",
        saved(tmp_path, **small(class_names=np.array(names[:2]))),
    )


def test_safetensors_with_names_and_half_precision(tmp_path):
    path = tmp_path / "data.safetensors"
    arrays = {"x_train": torch.randn(9, 4).bfloat16(), "y_train": torch.arange(9) % 2}
    arrays |= {"x_test": torch.randn(6, 4).bfloat16(), "y_test": torch.arange(6) % 2}
    save_file(arrays, path, {"class_names": json.dumps(["a", "b"])})
    splits = read(f"tensors:{path}")
    assert (splits.classes, splits.train.inputs.dtype) == (("a", "b"), torch.float32)
    assert torch.equal(splits.train.inputs, arrays["x_train"].float())
    assert task_of(f"tensors:{path}") == "classify"
    save_file(arrays, path, {"class_names": "a, b"})
    refused(f'class_names in the metadata of \'{path}\' is no JSON list of texts; write ["a", "b"]', f"tensors:{path}")


def test_mean_and_deviation_of_each_channel(tmp_path):
    array = values(9, 2, 16) * np.array([2.0, 0.0])[None, :, None] + np.array([5.0, 7.0])[None, :, None]
    splits = read(saved(tmp_path, **small(x_train=array)))
    assert splits.mean[""] == pytest.approx(array.mean(axis=(0, 2)), rel=1e-6)
    assert splits.std[""] == pytest.approx([array[:, 0].std(), 1.0], rel=1e-6)


@pytest.mark.parametrize(
    ("arrays", "options", "answer"),
    [
        (
            {"x_train": np.full((9, 2, 16), np.nan)},
            "",
            "288 of the 288 values of the array 'x_train' of {} are NaN, infinite or too large for float32; fill them, "
            "or remove their rows",
        ),
        (
            {"x_test": np.array([[1e300]] * 6)},
            "",
            "6 of the 6 values of the array 'x_test' of {} are NaN, infinite or too large for float32; fill them, or "
            "remove their rows",
        ),
        (
            {"x_train": np.array([{}] * 9)},
            "",
            "'x_train' of {} holds Python objects, which may run code; save it as an array of numbers, or leave it out",
        ),
        (
            {"x_train": np.array(["a"] * 9)},
            "",
            "the array 'x_train' of {} is <U1, but numbers are needed; convert it, or leave it out by ?input=NAME",
        ),
        (
            {"x_train": np.ones((9, 2), complex)},
            "",
            "the array 'x_train' of {} is complex128, but numbers are needed; convert it, or leave it out by "
            "?input=NAME",
        ),
        (
            {"y_train": ids(9) + 0.5},
            "",
            "the labels 'y_train' hold 0.5, but labels are whole numbers; name others by ?label",
        ),
        (
            {"y_train": ids(9) - 1},
            "",
            "3 of the 9 labels 'y_train' are negative, such as -1; number classes from 0, and leave out examples "
            "without a label",
        ),
        (
            {"y_test": ids(6) + 5},
            "",
            "{} has the class 7, but there are 3 classes, 0 to 2; add training examples of it",
        ),
        (
            {"y_train": np.full((9, 2), 3), "y_test": np.ones((6, 2))},
            "",
            "the tags 'y_train' hold 3, but a tag is 1, 0, or -100 where it is unknown; one class for each example has "
            "the shape [N]",
        ),
        (
            {"y_train": np.ones((9, 2, 3, 4, 5)), "y_test": np.ones((6, 2, 3, 4, 5))},
            "",
            "the labels 'y_train' have the shape [9, 2, 3, 4, 5], but labels are class ids [N], tags [N, T], or class "
            "ids of pixels [N, H, W]",
        ),
        (
            {"x_train": values(8, 2, 16)},
            "",
            "the input 'x_train' of {} has the shape [8, 2, 16], but there are 9 labels 'y_train'; make one row for "
            "each, or choose the inputs by ?input=NAME",
        ),
        (
            {"x_test": values(6, 2, 17)},
            "",
            "an example of {} is float32 [2, 16] in training, but float32 [2, 17] in test; make all of one shape and "
            "kind",
        ),
        (
            {"mask_train": ids(9)},
            "",
            "{} has 2 arrays of labels, y and mask; name one by ?label=NAME; its arrays are x_train, y_train, x_test, "
            "y_test, mask_train",
        ),
        (
            {"extra_train": values(9, 2)},
            "",
            "{} has no test array of the input 'extra'; add it, or choose inputs by ?input=NAME",
        ),
        (
            {},
            "?label=z",
            "{} has no array of labels 'z'; name one by ?label=NAME; its arrays are x_train, y_train, x_test, y_test",
        ),
        (
            {},
            "?input=z",
            "{} has no input 'z'; name them by ?input=NAME; its arrays are x_train, y_train, x_test, y_test",
        ),
        (
            {},
            "?ignore=3",
            "?ignore names the id of pixels without a label, but these labels are not of pixels; leave it out",
        ),
        ({}, "?test=0.2", "{} has train and test arrays, so there is nothing to draw; leave ?test out"),
    ],
)
def test_what_it_refuses(tmp_path, arrays, options, answer):
    spec = saved(tmp_path, **small(**arrays))
    refused(answer.format(f"'{tmp_path / 'data.npz'}'"), f"{spec}{options}")


@pytest.mark.parametrize(
    ("arrays", "answer"),
    [
        (
            {"x_test": values(6, 2), "y_test": ids(6)},
            "{} has no training arrays with labels; call them x_train and y_train",
        ),
        ({"arr_0": values(6, 2)}, "{} has no array of labels; name one by ?label=NAME; its arrays are arr_0"),
        (
            {"x_train": values(0, 2), "y_train": ids(0)},
            "the labels 'y_train' have the shape [0], but one label for each example is needed",
        ),
        ({"labels": ids(6)}, "{} has no array of inputs; name them by ?input=NAME; its arrays are labels"),
        (
            {"x": values(6, 2), "y": ids(6), "split": np.array([0, 0, 0, 1, 3, 2])},
            "'split' of {} holds '3', but splits are 0, 1 and 2 for train, validation and test, or these words",
        ),
        (
            {"x": values(6, 2), "y": ids(6), "split": np.zeros(6)},
            "'split' of {} has train rows alone; mark some as 0 and as 2",
        ),
        (
            {"x": values(6, 2), "y": ids(6), "split": np.zeros(5)},
            "'split' of {} has 5 rows, but there are 6 labels",
        ),
    ],
)
def test_what_arrays_it_misses(tmp_path, arrays, answer):
    refused(answer.format(f"'{tmp_path / 'data.npz'}'"), saved(tmp_path, **arrays))


def test_a_class_without_examples(tmp_path):
    spec = saved(tmp_path, **small(y_train=ids(9) * 2))
    refused(
        f"2 of 5 classes in {spec} have no training image (1, 3); add images, or remove the class",
        spec,
    )


def test_test_arrays_without_labels_are_left_out(tmp_path):
    arrays = small(x_val=values(3, 2, 16), y_val=ids(3))
    del arrays["y_test"]
    splits = read(saved(tmp_path, **arrays))
    assert (splits.validation, len(splits.test)) == (None, 3)
    assert splits.notes == (f"the test arrays of {tmp_path / 'data.npz'} have no labels and are left out",)


def test_no_file_of_tensors(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(UserError, match=r"cannot read '.*a.npz': .*; save the file again"):
        read(f"tensors:{tmp_path / 'a.npz'}")
    (tmp_path / "a.safetensors").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"cannot read '.*a.safetensors': .*; save the file again"):
        read(f"tensors:{tmp_path / 'a.safetensors'}")
    whole = tmp_path / "data.npz"
    spec = saved(tmp_path, **small())
    whole.write_bytes(whole.read_bytes()[:-300])
    with pytest.raises(UserError, match=r"cannot read '.*data.npz': .*; save the file again"):
        read(spec)
    refused(
        f"there is no file '{tmp_path / 'b.npz'}'; tensors:PATH is an .npz or .safetensors file of arrays",
        f"tensors:{tmp_path / 'b.npz'}",
    )
    refused(
        f"'{tmp_path / 'b.pt'}' is no .npz or .safetensors file; save the arrays with np.savez or safetensors",
        f"tensors:{tmp_path / 'b.pt'}",
    )


def test_images_and_tensors_have_functions_of_their_own(tmp_path):
    spec = saved(tmp_path, **small())
    for other in (load, load_masks):
        with pytest.raises(UserError) as caught:
            other(spec)
        assert str(caught.value) == f"{spec} has tensors, not images; load it with sd.data.load_tensors"
    refused("digits has images, not tensors; sources of tensors are tensors:PATH", "digits")


def test_the_fingerprint_is_of_the_file(tmp_path):
    spec = saved(tmp_path, **small())
    first = read(spec).fingerprint
    assert first["count"] == 1
    assert fingerprint(spec) == first == fingerprint(read(spec))
    assert fingerprint(saved(tmp_path, **small(x_train=values(9, 2, 16, seed=1)))) != first


def test_examples_are_a_map_style_data_set():
    examples = Examples({"a": torch.arange(4), "b": torch.ones(4, 2)}, torch.tensor([0, 1, 0, 1]))
    inputs, label = examples.rows(torch.tensor([3, 0]))[0]
    assert (inputs["a"].item(), inputs["b"].tolist(), label.item()) == (3, [1, 1], 1)


def test_signals_train(tmp_path):
    splits = read(saved(tmp_path, **small()))
    model = torch.nn.Sequential(
        torch.nn.Conv1d(2, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool1d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 3),
    )
    loader = sd.data.TensorLoader(splits.train, 4, augment=sd.data.default_standardization(splits))
    batch = next(loader.epoch(0))
    teach = sd.teach(model, "dsr()", batch.inputs)
    teach(batch).backward()
