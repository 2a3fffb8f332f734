import numpy as np
import pytest

from selfdistill.data import load
from selfdistill.errors import UserError
from tests.helpers.image_files import channels_first, class_folders, picture, save


def read(root, **options):
    return load(f"folder:{root}", **options)


def test_class_folders_are_read_in_order(tmp_path):
    class_folders(tmp_path, {"train/cat": 3, "train/ant": 2, "test/ant": 1, "test/cat": 2})
    splits = read(tmp_path)
    assert splits.classes == ("ant", "cat")
    assert splits.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert splits.test.labels.tolist() == [0, 1, 1]
    assert splits.validation is None
    assert np.array_equal(splits.train.images[0].numpy(), channels_first(picture(100)))  # train/ant/00.png
    assert np.array_equal(splits.train.images[4].numpy(), channels_first(picture(2)))  # train/cat/02.png


@pytest.mark.parametrize("held", ["val", "valid", "validation"])
def test_beside_a_test_folder_another_is_the_validation_set(tmp_path, held):
    class_folders(tmp_path, {f"{s}/{c}": n for s, n in (("train", 3), (held, 2), ("test", 1)) for c in "ab"})
    splits = read(tmp_path)
    assert splits.validation is not None
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [6, 4, 2]


def test_a_validation_folder_alone_is_the_test_set(tmp_path):
    class_folders(tmp_path, {"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1})
    splits = read(tmp_path)
    assert splits.validation is None
    assert len(splits.test) == 2


def tiny_imagenet(root):
    ids = ["n02", "n01"]
    for k, each in enumerate(ids):
        for n in range(2):
            save(root / "train" / each / "images" / f"{each}_{n}.JPEG", 10 * k + n)
    save(root / "val" / "images" / "val_0.JPEG", 50)
    save(root / "val" / "images" / "val_1.JPEG", 51)
    save(root / "test" / "images" / "test_0.JPEG", 60)
    (root / "wnids.txt").write_text("\n".join(ids) + "\n")
    (root / "words.txt").write_text("n01\tcat, true cat\nn02\tant\nn03\tbee\n")
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn01\t0\t0\t9\t9\nval_1.JPEG\tn02\t0\t0\t9\t9\n")
    return root


def test_tiny_imagenet_is_known_by_its_lists(tmp_path):
    splits = read(tiny_imagenet(tmp_path))
    assert splits.classes == ("ant", "cat, true cat")
    assert splits.train.labels.tolist() == [0, 0, 1, 1]
    assert splits.test.labels.tolist() == [1, 0]
    assert splits.validation is None


def test_tiny_imagenet_needs_no_words_but_its_annotations(tmp_path):
    tiny_imagenet(tmp_path)
    (tmp_path / "words.txt").unlink()
    assert read(tmp_path).classes == ("n02", "n01")
    (tmp_path / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn01\nval_1.JPEG\tn09\n")
    with pytest.raises(
        UserError, match=r"line 2 of .*val_annotations.txt' names no class of wnids.txt: val_1.JPEG n09"
    ):
        read(tmp_path)
    (tmp_path / "val" / "val_annotations.txt").unlink()
    with pytest.raises(UserError, match=r"val_annotations.txt' is missing though wnids.txt is there"):
        read(tmp_path)


def test_only_the_chosen_images_are_decoded(tmp_path):
    class_folders(tmp_path, {"train/a": 6, "train/b": 6, "test/a": 1, "test/b": 1})
    few = read(tmp_path, limit=2, seed=0)
    names = {images.numpy().tobytes() for images in few.train.images}
    for file in (tmp_path / "train").glob("*/*.png"):
        k = 0 if file.parent.name == "a" else 100
        if channels_first(picture(k + int(file.stem))).tobytes() not in names:
            file.write_bytes(b"broken")
    assert read(tmp_path, limit=2, seed=0).train.images.equal(few.train.images)
    with pytest.raises(UserError, match=r"cannot read 10 images: .*train/[ab]/\d\d.png"):
        read(tmp_path)


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    class_folders(tmp_path, {"train/a": 1, "train/b": 1, "val/a": 1, "val/b": 1})
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "a" / "._00.png").write_bytes(b"a note of another system")
    assert read(tmp_path).classes == ("a", "b")
    assert len(read(tmp_path).train) == 2


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({"ant": 1, "cat": 1}, r"has no train folder, it holds ant, cat; put the class folders into train"),
        ({}, r"has no train folder, it holds no folders"),
        ({"train/a": 1, "train/b": 1}, r"has no test folder next to train, nor val, valid, validation"),
        ({"train/a": 1, "test/a": 1}, r"has 1 class.*two at least"),
        (
            {"train/a": 1, "train/b": 1, "train/c": 0, "test/a": 1},
            r"1 of 3 classes in .* no training image \(c\)",
        ),
        ({"train/a": 1, "train/b": 1, "test/c": 1}, r"test/c' is a class that train does not have"),
        ({"train/a": 1, "train/b": 1, "test/a": 0}, r"there are no images in .*test'"),
    ],
)
def test_a_folder_that_does_not_fit_is_answered(tmp_path, folders, message):
    for each in folders:
        (tmp_path / each).mkdir(parents=True)
    class_folders(tmp_path, folders)
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder '.*nowhere'; folder:PATH holds train/CLASS/"):
        read(tmp_path / "nowhere")


def test_two_files_of_different_sizes_are_named(tmp_path):
    class_folders(tmp_path, {"train/a": 2, "train/b": 1, "val/a": 1, "val/b": 1})
    save(tmp_path / "train" / "b" / "00.png", size=20)
    with pytest.raises(UserError, match=r"train/a/00.png has 8x8 pixels, .*train/b/00.png 20x20; pass --size"):
        read(tmp_path)
    assert read(tmp_path, size=8).train.size == 8


def test_two_folders_of_one_split_are_refused(tmp_path):
    class_folders(tmp_path, {f"{split}/{name}": 1 for split in ("train", "val", "Validation") for name in "ab"})
    with pytest.raises(UserError, match=r"has Validation and val, which both name the validation images; rename or"):
        read(tmp_path)


@pytest.mark.parametrize("names", [("Training", "Testing"), ("TRAIN", "Test"), ("training", "Val"), ("Train", "VALID")])
def test_splits_are_known_by_their_usual_names_in_any_case(tmp_path, names):
    class_folders(
        tmp_path, {f"{split}/{name}": count for split, count in zip(names, (2, 1), strict=True) for name in "ab"}
    )
    splits = read(tmp_path)
    assert (len(splits.train), len(splits.test)) == (4, 2)


def test_a_folder_inside_that_has_the_splits_is_named(tmp_path):
    class_folders(tmp_path / "images", {"train/a": 1, "train/b": 1, "val/a": 1})
    with pytest.raises(
        UserError, match=rf"has no train folder, it holds images; did you mean folder:{tmp_path}/images\?"
    ):
        read(tmp_path)


NESTED = {
    "two levels": {"fruit/apple": 2, "fruit/pear": 2, "milk/oat": 2, "milk/soy": 2},
    "of different depth": {"fruit/apple": 2, "fruit/pear/red": 2, "milk": 2},
    "images beside a folder": {"cat": 2, "cat/black": 1, "dog": 2},
    "one inner folder each": {"fruit/apple": 2, "milk/oat": 2},
    "one class alone": {"cat": 2, "dog/dog": 2},
    "images and masks": {"cat/images": 2, "cat/masks": 2, "dog/images": 2, "dog/masks": 2},
}
LEAVES = {
    "two levels": ("fruit/apple", "fruit/pear", "milk/oat", "milk/soy"),
    "of different depth": ("fruit/apple", "fruit/pear/red", "milk"),
    "images beside a folder": ("cat", "cat/black", "dog"),
}


def nested(root, folders):
    return class_folders(
        root, {f"{split}/{name}": n for split in ("train", "val", "test") for name, n in folders.items()}
    )


@pytest.mark.parametrize("case", NESTED)
def test_nested_folders_are_not_merged_in_silence(tmp_path, case):
    nested(tmp_path, NESTED[case])
    with pytest.raises(UserError, match=r"hold further folders of images: .* add \?classes=leaf .*, or \?classes=top"):
        read(tmp_path)


@pytest.mark.parametrize("case", LEAVES)
def test_the_folders_of_images_are_classes_on_demand(tmp_path, case):
    nested(tmp_path, NESTED[case])
    splits = read(f"{tmp_path}?classes=leaf")
    assert splits.classes == LEAVES[case]
    assert splits.train.labels.tolist() == [k for k, n in enumerate(NESTED[case].values()) for _ in range(n)]
    assert splits.test.labels.equal(splits.train.labels)
    assert splits.validation is not None
    seeds = [100 * k + n for k, count in enumerate(NESTED[case].values()) for n in range(count)]
    for image, seed in zip(splits.train.images, seeds, strict=True):
        assert np.array_equal(image.numpy(), channels_first(picture(seed)))


def test_the_outer_folders_are_classes_on_demand(tmp_path):
    nested(tmp_path, NESTED["two levels"])
    splits = read(f"{tmp_path}?classes=top")
    assert splits.classes == ("fruit", "milk")
    assert splits.train.labels.tolist() == [0] * 4 + [1] * 4


def test_nested_test_folders_alone_are_refused_too(tmp_path):
    class_folders(tmp_path, {"train/a": 2, "train/b": 2, "test/a/x": 1, "test/a/y": 1, "test/b": 1})
    with pytest.raises(UserError, match=r"class folders of '.*test' hold further folders of images: a holds x, y, so"):
        read(tmp_path)


def test_a_leaf_that_train_does_not_have_is_named(tmp_path):
    class_folders(tmp_path, {"train/a/x": 2, "train/b/x": 2, "test/a/y": 1})
    with pytest.raises(UserError, match=r"test/a/y' is a class that train does not have"):
        read(f"{tmp_path}?classes=leaf")


def test_one_folder_of_the_same_name_in_every_class_is_no_level(tmp_path):
    class_folders(tmp_path, {"train/a/images": 2, "train/b/images": 2, "test/a": 1, "test/b": 1})
    assert read(tmp_path).classes == ("a", "b")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("?classes=deep", r"cannot read \?classes=deep; write \?classes=top or \?classes=leaf"),
        (
            "?label=x",
            r"cannot read \?label=x; the options are \?classes=top or leaf, \?skip=CLASS or CLASS,CLASS, \?n",
        ),
        ("?classes=top&classes=leaf", r"cannot read \?classes=leaf; the options are"),
        ("?range=4095", r"cannot read \?range=4095; write the values of black and white as \?range=BLACK..WHITE"),
        ("?range=1..1", r"cannot read \?range=1..1"),
        ("?range=0..nan", r"cannot read \?range=0..nan"),
        ("?range=0..1e999", r"cannot read \?range=0..1e999"),
    ],
)
def test_options_that_do_not_fit_are_answered(tmp_path, option, message):
    class_folders(tmp_path, {"train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1})
    with pytest.raises(UserError, match=message):
        read(f"{tmp_path}{option}")


def test_a_path_may_hold_a_question_mark(tmp_path):
    class_folders(tmp_path / "what?=1", {"train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1})
    assert len(read(tmp_path / "what?=1").train) == 2


def test_a_class_whose_files_are_all_of_another_kind_says_so(tmp_path):
    class_folders(tmp_path, {"train/a": 1, "train/b": 0, "test/a": 1})
    (tmp_path / "train" / "b").mkdir()
    (tmp_path / "train" / "b" / "x.heic").write_bytes(b"another format")
    with pytest.raises(
        UserError, match=r"train/b' has no image that Pillow reads, but 1 file \(1 .heic\), such as x.heic"
    ):
        read(tmp_path)


def test_test_images_outside_class_folders_have_no_labels(tmp_path):
    class_folders(tmp_path, {"train/a": 1, "train/b": 1, "val/a": 1, "test": 3})
    with pytest.raises(
        UserError, match=r"the 3 images in '.*test' lie in no class folder, .*the validation images are"
    ):
        read(tmp_path)


def test_a_class_of_tiny_imagenet_that_is_not_listed_is_told(tmp_path):
    save(tiny_imagenet(tmp_path) / "train" / "n03" / "images" / "x.png")
    save(tmp_path / "val" / "images" / "val_2.JPEG")
    (tmp_path / "train" / "n01" / "n01_boxes.txt").write_text("n01_0.JPEG\t0\t0\t9\t9")
    said = r"left out 2 files .* that belong to no class: train/n03/images/x.png, val/images/val_2.JPEG"
    with pytest.warns(UserWarning, match=said):
        assert read(tmp_path).classes == ("ant", "cat, true cat")


def test_class_folders_are_skipped_by_name(tmp_path):
    splits = ("train", "val", "test")
    root = class_folders(tmp_path, {f"{s}/{c}": 2 for s in splits for c in ("ant", "BACKGROUND_Google", "cat")})
    with pytest.warns(UserWarning, match="has BACKGROUND_Google, no class of Caltech-101; leave it out by .skip=BACKG"):
        assert len(read(root).classes) == 3
    with pytest.warns(UserWarning, match=f"left out the class folders BACKGROUND_Google of {root}, as .skip asks"):
        found = load(f"folder:{root}?skip=BACKGROUND_Google")
    assert found.classes == ("ant", "cat")
    assert [len(each) for each in (found.train, found.validation, found.test)] == [4, 4, 4]
    assert found.train.labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(
        UserError, match=f"'{root}/train' has no class 'dog' to skip; it has BACKGROUND_Google, ant, cat$"
    ):
        load(f"folder:{root}?skip=dog")


def test_the_classes_of_tiny_imagenet_are_its_lists(tmp_path):
    with pytest.raises(UserError, match=r"\?skip is for class folders, and .* has a list of its classes"):
        load(f"folder:{tiny_imagenet(tmp_path)}?skip=n01")


@pytest.mark.parametrize(("file", "source"), [("train.txt", "list"), ("devkit/cars_train_annos.mat", "mat")])
def test_the_source_of_lists_and_matlab_files_is_named(tmp_path, file, source):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    with pytest.raises(UserError, match=rf"has no train folder, .*; did you mean {source}:{tmp_path}\? or put"):
        read(tmp_path)
