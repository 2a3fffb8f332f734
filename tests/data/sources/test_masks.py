import numpy as np
import pytest
from PIL import Image

from selfdistill import data
from selfdistill.data import load
from selfdistill.data.load_segmentation import load_masks
from selfdistill.data.sources import voc as voc_module
from selfdistill.errors import UserError
from tests.helpers.image_files import channels_first, picture, save
from tests.helpers.mask_files import ids, pairs, save_mask, save_pair, wanted

BOTH = {"train": 3, "val": 2}


def read(root, options="", **more):
    """Load without notes: a note would be a warning, which is an error."""
    return load_masks(f"masks:{root}{options}", **more)


def noted(root, options="", **more):
    notes = []
    return load_masks(f"masks:{root}{options}", on_note=notes.append, **more), notes


def same(pair, seed, **options):
    assert np.array_equal(pair.image.numpy(), channels_first(picture(seed, 8, 6)))
    assert np.array_equal(pair.mask.numpy(), wanted(ids(seed, **options)))


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{split}/images/{name}.png", "{split}/masks/{name}.png"),
        ("images/{split}/{name}.png", "masks/{split}/{name}.png"),
        ("images/{split}/{name}.png", "annotations/{split}/{name}.png"),
        ("{split}/Images/{name}.png", "{split}/labels/{name}_mask.png"),
        ("{split}/images/deep/{name}.png", "{split}/masks/deep/{name}_label.png"),
    ],
)
def test_images_and_masks_are_paired_by_name(tmp_path, image, mask):
    splits = read(pairs(tmp_path, BOTH, image, mask))
    assert [len(splits.train), splits.validation, len(splits.test)] == [3, None, 2]
    for row in range(3):
        same(splits.train[row], row)
    same(splits.test[1], 4)
    assert splits.classes == ("class 0", "class 1", "class 2")
    assert splits.fingerprint["count"] == 10


def test_beside_a_test_folder_another_is_the_validation_set(tmp_path):
    splits = read(pairs(tmp_path, {"train": 3, "valid": 2, "test": 1}))
    assert [len(each) for each in (splits.train, splits.validation, splits.test)] == [3, 2, 1]
    same(splits.test[0], 5)


def test_without_splits_a_fixed_fifth_is_the_test_set(tmp_path):
    pairs(tmp_path, {"": 10}, "images/{name}.png", "masks/{name}.png")
    splits, notes = noted(tmp_path)
    assert (len(splits.train), len(splits.test)) == (8, 2)
    assert notes == [f"{tmp_path} has no splits: 2 of its images, the same in every run, are the test images"]
    names = {each.image for part in (splits.train, splits.test) for each in part.pairs.files}
    assert len(names) == 10
    assert noted(tmp_path, seed=3)[0].test.pairs.files == splits.test.pairs.files


def test_test_images_without_masks_are_left_out(tmp_path):
    pairs(tmp_path, {"train": 2, "val": 1})
    save(tmp_path / "test" / "images" / "x.png")
    splits, notes = noted(tmp_path)
    assert len(splits.test) == 1
    assert notes == [f"left out the images in {tmp_path / 'test' / 'images'}, which have no masks"]


def test_other_files_are_noted(tmp_path):
    pairs(tmp_path, BOTH)
    (tmp_path / "train" / "masks" / "notes.md").write_text("none")
    assert noted(tmp_path)[1] == [
        f"left out 1 file (1 .md) of {tmp_path / 'train'} that are not images: masks/notes.md"
    ]


def voc(root, train=("2007_01", "2007_02"), val=("2007_03",)):
    for k, name in enumerate((*train, *val)):
        image, mask = root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png"
        save_pair(image, mask, k, classes=21)
        save_mask(mask, ids(k, classes=21), "P")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, names in {"train": train, "val": val, "trainval": (*train, *val)}.items():
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
    save(root / "JPEGImages" / "unlisted.jpg")
    return root


def test_voc_is_read_by_its_lists(tmp_path):
    splits = read(voc(tmp_path))
    assert splits.classes == voc_module.NAMES
    assert (len(splits.train), splits.validation, len(splits.test)) == (2, None, 1)
    assert np.array_equal(splits.train[1].mask.numpy(), wanted(ids(1, classes=21)))
    assert splits.test[0].image.shape == (3, 6, 8)


def test_voc_without_its_lists_or_files_is_answered(tmp_path):
    voc(tmp_path)
    (tmp_path / "SegmentationClass" / "2007_02.png").unlink()
    with pytest.raises(
        UserError, match=r"the image .*2007_02.jpg has no mask of its name in '.*SegmentationClass'; add"
    ):
        read(tmp_path)
    (tmp_path / "JPEGImages" / "2007_01.jpg").unlink()
    with pytest.raises(UserError, match=r"train.txt' lists 2007_01, but there is no .*JPEGImages/2007_01.jpg"):
        read(tmp_path)
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").unlink()
    with pytest.raises(
        UserError, match=r"train.txt' is missing though JPEGImages is there; it lists the names of the tr"
    ):
        read(tmp_path)


def test_an_image_that_is_trained_and_tested_on_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"2007_01.jpg is in train.txt and in val.txt of .*; remove it from one"):
        read(voc(tmp_path, val=("2007_01",)))


def cityscapes(root, ending="labelTrainIds"):
    form = "leftImg8bit/{split}/ulm/ulm_{name}_leftImg8bit.png"
    mask = "gtFine/{split}/ulm/ulm_{name}_gtFine_" + ending + ".png"
    pairs(root, {"train": 2, "val": 1}, form, mask, classes=19)
    save(root / "gtFine" / "train" / "ulm" / "ulm_00_gtFine_color.png")
    return root


def test_cityscapes_is_read_by_its_train_ids(tmp_path):
    save(cityscapes(tmp_path) / "leftImg8bit" / "test" / "bonn" / "bonn_1_leftImg8bit.png")
    splits, notes = noted(tmp_path)
    assert (len(splits.classes), splits.classes[13]) == (19, "car")
    assert (len(splits.train), splits.validation, len(splits.test)) == (2, None, 1)
    same(splits.test[0], 2, classes=19)
    assert notes == [f"left out these folders of {tmp_path / 'leftImg8bit'}: test"]


def test_cityscapes_without_train_ids_names_their_tool(tmp_path):
    message = (
        r"has gtFine_labelIds masks, but none of gtFine_labelTrainIds, .* cityscapesscripts.* csCreateTrainIdLabelImgs"
    )
    with pytest.raises(UserError, match=message):
        read(cityscapes(tmp_path, "labelIds"))


def test_names_come_from_a_list(tmp_path):
    (pairs(tmp_path, BOTH) / "classes.txt").write_text("road\nsky\ntree\n")
    assert read(tmp_path).classes == ("road", "sky", "tree")


def test_classes_without_a_training_pixel_are_noted(tmp_path):
    (pairs(tmp_path, BOTH) / "classes.txt").write_text("road\nsky\ntree\ncar\nbus\n")
    splits, notes = noted(tmp_path)
    assert len(splits.classes) == 5
    assert notes == ["2 of 5 classes have no training pixel: car, bus"]


def test_colors_are_read_by_their_list(tmp_path):
    (pairs(tmp_path, BOTH, ignored=None) / "classes.txt").write_text("road 128 64 128\nsky 0 0 9\ntree 0 99 0\n")
    colors = np.array([(128, 64, 128), (0, 0, 9), (0, 99, 0)], dtype=np.uint8)
    for seed, file in enumerate(sorted(tmp_path.glob("*/masks/*"))):
        Image.fromarray(colors[ids(seed, ignored=None)]).save(file)
    splits = read(tmp_path)
    assert splits.classes == ("road", "sky", "tree")
    same(splits.train[2], 2, ignored=None)


def test_another_id_is_ignored_on_demand(tmp_path):
    pairs(tmp_path, BOTH, ignored=9)
    splits = read(tmp_path, "?ignore=9")
    assert len(splits.classes) == 3
    assert splits.train[0].mask[-1, -1] == -100
    assert len(noted(tmp_path, "?ignore=none")[0].classes) == 10


def test_an_ignored_id_among_the_classes_is_taken_out_of_them(tmp_path):
    pairs(tmp_path, BOTH, ignored=None)
    splits, notes = noted(tmp_path, "?ignore=0")
    assert splits.classes == ("class 1", "class 2")
    assert notes == ["the id 0 is ignored, so it is no class, and ids above it move down by one"]
    found, values = splits.train[0].mask.numpy(), ids(0, ignored=None).astype(np.int16)
    assert np.array_equal(found, np.where(values == 0, -100, values - 1))
    (tmp_path / "classes.txt").write_text("road\nsky\ntree\n")
    assert noted(tmp_path, "?ignore=1")[0].classes == ("road", "tree")


def test_limits_and_validation_sets_are_drawn_by_the_seed(tmp_path):
    pairs(tmp_path, {"train": 10, "val": 2})
    few = read(tmp_path, limit=6, validation=0.5, seed=1)
    assert [len(each) for each in (few.train, few.validation, few.test)] == [3, 3, 2]
    again = read(tmp_path, limit=6, validation=0.5, seed=1)
    assert few.train.pairs.files == again.train.pairs.files
    assert not set(few.train.pairs.files) & set(few.validation.pairs.files)
    assert few.train.pairs.files != read(tmp_path, limit=6, validation=0.5, seed=2).train.pairs.files


@pytest.mark.parametrize("decode", ["once", "stream"])
def test_decoding_ahead_changes_nothing(tmp_path, decode):
    splits = read(pairs(tmp_path, BOTH), decode=decode)
    assert len(splits.train.pairs._pending) == {"once": 3, "stream": 0}[decode]
    same(splits.train[1], 1)
    pixels = np.stack([channels_first(picture(k, 8, 6)) for k in range(3)]).astype(float) / 255
    assert splits.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)))
    assert splits.std == pytest.approx(pixels.std(axis=(0, 2, 3)))


def test_broken_files_are_named_or_left_out(tmp_path):
    pairs(tmp_path, {"train": 4, "val": 2})
    (tmp_path / "train" / "masks" / "01.png").write_bytes(b"")
    whole = (tmp_path / "train" / "images" / "02.png").read_bytes()
    (tmp_path / "train" / "images" / "02.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        UserError, match=r"cannot read the image .*train/masks/01.png: it is empty; repair or remove it"
    ):
        read(tmp_path, decode="stream")
    splits, notes = noted(tmp_path, skip_unreadable=True)
    assert len(splits.train) == 2
    assert "skipped 2 unreadable images: " in notes[0]
    assert [each[-12:] for each in splits.skipped] == ["masks/01.png", "mages/02.png"]
    (tmp_path / "train" / "masks" / "01.png").unlink()
    (tmp_path / "train" / "images" / "01.png").unlink()
    with pytest.raises(UserError, match=r"cannot read the image .*train/images/02.png"):
        read(tmp_path, decode="once")


def test_images_that_are_turned_are_noted(tmp_path):
    pairs(tmp_path, BOTH, "{split}/images/{name}.jpg")
    exif = Image.Exif()
    exif[274] = 3
    picture(0, 8, 6).save(tmp_path / "train" / "images" / "00.jpg", exif=exif)
    [note] = noted(tmp_path)[1]
    assert note.startswith("1 image is turned by EXIF orientation, such as ")


def test_images_that_would_be_black_are_refused(tmp_path):
    pairs(tmp_path, BOTH)
    Image.fromarray(np.full((6, 8), 4095, dtype=np.uint16)).save(tmp_path / "train" / "images" / "00.png")
    with pytest.raises(UserError, match=r"more than 8 bits, but use only 6.2 % of their range.*\?range=0..4095"):
        read(tmp_path)
    assert read(tmp_path, "?range=0..4095").train[0].image.min() == 255


def change(action):
    """A data set of three training and two test images, changed."""

    def made(root):
        pairs(root, BOTH)
        action(root)
        return root

    return made


def relabel(split, value):
    def action(root):
        file = sorted((root / split / "masks").iterdir())[0]
        values = ids(0)
        values[0, 0] = value
        save_mask(file, values)

    return change(action)


def listed(names):
    return change(lambda root: (root / "classes.txt").write_text("\n".join(names)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            change(lambda root: (root / "train/masks/01.png").unlink()),
            r"the image .*train/images/01.png has no mask of its name in '.*train/masks'; add it, or move the image aw",
        ),
        (
            change(
                lambda root: (
                    [(root / f"val/images/0{k}.png").unlink() for k in (3, 4)] and save(root / "val/images/x.png")
                )
            ),
            r"the image .*x.png has no mask of its name",
        ),
        (
            change(lambda root: (root / "val/images/03.png").unlink()),
            r"the mask .*val/masks/03.png has no image of its name in '.*val/images'; add it, or move the mask away",
        ),
        (
            change(
                lambda root: [each.unlink() for each in (root / "val/masks").iterdir()] and (root / "val/masks").rmdir()
            ),
            r"there are no masks for '.*val/images'; put them into a folder masks next to it, under the names",
        ),
        (
            change(lambda root: save(root / "train/images/00.jpg")),
            r"00.jpg and .*00.png have one name, so masks cannot be told apart; rename one",
        ),
        (
            change(lambda root: save_mask(root / "train/masks/00.png", ids(0, 8, 7))),
            r"image .*images/00.png has 8x6 pixels, its mask .*masks/00.png 8x7; make the mask as large",
        ),
        (
            change(lambda root: picture(0, 8, 6).save(root / "train/masks/00.png")),
            r"mask .*masks/00.png is an image of mode RGB, .* list the classes with their colors in classes.txt",
        ),
        (
            relabel("val", 7),
            r"mask .*val/masks/03.png has the id 7, but there are 3 classes, 0 to 2; list all .*txt, or name .*=7",
        ),
        (
            listed(["a", "b"]),
            r"train/masks/00.png has the id 2, but there are 2 classes, 0 to 1; correct the list of cl",
        ),
        (listed([f"c{k}" for k in range(300)]), r"has 300 classes, so 255 may be one of them; say by \?ignore=ID"),
        (
            lambda root: pairs(root, BOTH, classes=1),
            r"masks of .* hold 1 class \(255 is ignored\); two are needed. If th",
        ),
        (
            change(
                lambda root: [save_mask(each, np.full((6, 8), 255, np.uint8)) for each in root.glob("train/masks/*")]
            ),
            r"training masks of .* hold no class \(255 is ignored\); two are needed",
        ),
        (lambda root: pairs(root, {"train": 2}), r"has no test images next to train, nor val, valid, validation; move"),
        (
            lambda root: pairs(root / "inner", BOTH) and root,
            r"has neither images/ and masks/ nor train/, it holds inner; did you mean masks:.*inner\? or put images",
        ),
        (
            lambda root: pairs(root, BOTH, mask="{split}/Mask/{name}.png") and pairs(root, BOTH),
            r"has Mask and masks, which both",
        ),
        (
            lambda root: root / "nowhere",
            r"there is no folder '.*nowhere'; masks:PATH holds images/ and masks/, or VOC's",
        ),
        (
            lambda root: pairs(root, {"": 1}, "images/{name}.png", "masks/{name}.png"),
            r"has one image and no test images",
        ),
        (
            lambda root: save(root / "train/a.png") or root,
            r"train' has no folder images, it holds no folders; put images/",
        ),
    ],
)
def test_a_folder_that_does_not_fit_is_answered(tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        read(make(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("?ignore=void", r"cannot read \?ignore=void; write the id of pixels without a label, or \?ignore=none"),
        ("?ignored=3", r"cannot read \?ignored=3; the options are \?ignore=ID or none, \?range=BLACK..WHITE"),
    ],
)
def test_options_that_cannot_be_read_are_named(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        read(pairs(tmp_path, BOTH), options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, r"0 training images cannot be drawn; take one or more"),
        ({"validation": 1.5}, r"validation share must lie between 0 and 1, but is 1.5"),
        ({"limit": 1, "validation": 0.5}, r"one training image leaves none for validation"),
    ],
)
def test_splits_that_cannot_be_drawn_are_refused(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        read(pairs(tmp_path, BOTH), **options)


def test_each_kind_of_data_names_the_other_function(tmp_path):
    pairs(tmp_path, BOTH)
    with pytest.raises(
        UserError, match=r"has a class for each pixel, not for each image; load it with sd.data.load_masks"
    ):
        load(f"masks:{tmp_path}")
    with pytest.raises(UserError, match=r"digits has no masks; sources with a class for each pixel are masks:PATH"):
        load_masks("digits")


def test_the_public_function_is_no_module():
    assert data.load_masks is load_masks
