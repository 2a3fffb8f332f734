import subprocess
import sys

import pytest
import torch

from selfdistill.data import SOURCES, load
from selfdistill.errors import UserError
from tests.helpers import image_files
from tests.helpers.image_files import class_folders


def test_a_limit_keeps_the_test_images_whole():
    all_of_it, few = load("fake"), load("fake", limit=30)
    assert torch.bincount(few.train.labels).tolist() == [3] * 10
    assert few.test.images.equal(all_of_it.test.images)


def test_the_seed_chooses_the_few():
    one, same, other = (load("fake", limit=30, seed=seed).train.images for seed in (0, 0, 1))
    assert one.equal(same)
    assert not one.equal(other)


def test_validation_is_cut_from_what_the_limit_left():
    cut, whole = load("fake", limit=100, validation=0.2), load("fake", limit=100)
    assert cut.validation is not None
    assert (len(cut.train), len(cut.validation)) == (80, 20)
    assert torch.bincount(cut.validation.labels).tolist() == [2] * 10
    both = torch.cat([cut.train.images, cut.validation.images]).flatten(1).tolist()
    assert sorted(both) == sorted(whole.train.images.flatten(1).tolist())


def test_no_share_means_no_validation():
    assert load("fake").validation is None


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (
            "digit",
            {},
            r"no data source 'digit'; did you mean 'digits'\? there are digits, parquet, folder, csv, list, wds, ",
        ),
        ("CIFAR100", {}, r"no data source 'CIFAR100'; did you mean 'cifar100'\?"),
        ("digits:8", {}, r"digits takes nothing after the colon, but got '8'; write digits"),
        ("folder", {}, r"folder needs an argument: folder:PATH"),
        ("hub:", {}, r"hub needs an argument: hub:ORG/NAME"),
        ("fake", {"limit": 9}, r"9 training images cannot hold one of each of 10 classes"),
        ("fake", {"validation": 2.0}, r"between 0 and 1, but is 2.0"),
        ("fake", {"size": 0}, r"--size is 0"),
        ("fake", {"label_noise": 1.0}, r"share of wrong labels must be from 0 to below 1, but is 1.0"),
    ],
)
def test_mistakes_are_answered(spec, options, message):
    with pytest.raises(UserError, match=message):
        load(spec, **options)


def test_a_path_alone_is_answered_with_the_sources_that_read_paths(tmp_path):
    with pytest.raises(UserError, match=rf"did you mean 'folder:{tmp_path}', 'parquet:{tmp_path}' or 'masks:"):
        load(str(tmp_path))


def test_splits_of_different_sizes_are_refused(tmp_path):
    class_folders(tmp_path, {"train/a": 2, "train/b": 2})
    class_folders(tmp_path, {"test/a": 1, "test/b": 1}, size=9)
    with pytest.raises(UserError, match=r"have 8 pixels a side, its test images 9; pass --size"):
        load(f"folder:{tmp_path}")
    assert load(f"folder:{tmp_path}", size=8).test.size == 8


def broken(root):
    """Eight training images, three of which cannot be read, and four test images, one of which cannot."""
    class_folders(root, {"train/a": 4, "train/b": 4, "val/a": 2, "val/b": 2, "test/a": 2, "test/b": 2})
    (root / "train" / "a" / "00.png").write_bytes(b"no image")  # the first of all
    (root / "train" / "b" / "02.png").write_bytes(b"")
    whole = root / "train" / "b" / "03.png"
    whole.write_bytes(whole.read_bytes()[:-60])
    (root / "test" / "b" / "01.png").write_bytes(b"no image")
    return root


@pytest.mark.parametrize("size", [None, 4])
def test_unreadable_images_of_all_splits_are_named_at_once(tmp_path, size):
    names = r".*train/a/00.png \(.*train/b/02.png \(it is empty\), .*train/b/03.png \(.*test/b/01.png \("
    with pytest.raises(UserError, match=rf"cannot read 4 images: {names}"):
        load(f"folder:{broken(tmp_path)}", size=size)


@pytest.mark.parametrize("decode", ["once", "stream"])
def test_sizes_that_differ_are_named_by_a_readable_image(tmp_path, decode):
    image_files.save(broken(tmp_path) / "train" / "b" / "01.png", size=9)
    with pytest.raises(UserError, match=r"differ in size: .*train/a/01.png has 8x8 pixels, .*train/b/01.png 9x9; pass"):
        load(f"folder:{tmp_path}", decode=decode)


@pytest.mark.parametrize("decode", ["once", "stream"])
@pytest.mark.parametrize("size", [None, 4])
def test_unreadable_images_are_skipped_on_demand_and_told(tmp_path, decode, size):
    with pytest.warns(
        UserWarning, match=r"skipped 4 unreadable images: .*train/a/00.png \(it has no known image format"
    ):
        splits = load(f"folder:{broken(tmp_path)}", decode=decode, size=size, skip_unreadable=True)
    assert splits.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert splits.test.labels.tolist() == [0, 0, 1]
    assert [len(splits.train.images[:]), len(splits.test.images[:])] == [5, 3]
    assert [name[-14:] for name in splits.skipped] == [
        "train/a/00.png",
        "train/b/02.png",
        "train/b/03.png",
        "/test/b/01.png",
    ]


def test_skipped_images_leave_the_others_as_they_are(tmp_path):
    whole = class_folders(tmp_path / "whole", {"train/a": 4, "train/b": 4, "test/a": 2, "test/b": 2})
    kept = load(f"folder:{whole}").train.images[[1, 2, 3, 4, 5]]
    few = load(f"folder:{broken(tmp_path / 'broken')}", skip_unreadable=True, on_note=print).train
    assert few.images.equal(kept)


def test_nothing_is_skipped_where_all_can_be_read(tmp_path):
    class_folders(tmp_path, {"train/a": 1, "train/b": 1, "test/a": 1, "test/b": 1})
    assert load(f"folder:{tmp_path}", skip_unreadable=True).skipped == ()
    assert load("fake", skip_unreadable=True).skipped == ()


def test_a_class_or_split_that_loses_all_its_images_is_named(tmp_path):
    class_folders(tmp_path, {"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})
    for file in (tmp_path / "train" / "b").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1 of 2 classes in .* no training image \(b\)"):
        load(f"folder:{tmp_path}", skip_unreadable=True)
    for file in (tmp_path / "test").glob("*/*"):
        file.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"none of the 2 test images can be read: .*; repair"):
        load(f"folder:{tmp_path}", skip_unreadable=True)


def test_unreadable_cells_are_skipped_too(tmp_path):
    cells = [image_files.encoded(k) for k in range(4)]
    image_files.write(tmp_path / "train.parquet", image_files.table([*cells, b"no image"], label=[0, 1, 0, 1, 1]))
    image_files.write(tmp_path / "test.parquet", image_files.table(cells[:2], label=[0, 1]))
    with pytest.warns(UserWarning, match=r"skipped 1 unreadable image: in row 4 of train.parquet \(it has no known"):
        assert len(load(f"parquet:{tmp_path}", skip_unreadable=True).train) == 4


def test_missing_cells_are_named_together_and_skipped(tmp_path):
    cells = [image_files.encoded(k) for k in range(4)]
    image_files.write(tmp_path / "train.parquet", image_files.table([None, *cells, None], label=[0, 1, 0, 1, 0, 1]))
    image_files.write(tmp_path / "test.parquet", image_files.table(cells[:2], label=[0, 1]))
    names = r"in row 0 of train.parquet \(it is empty\), in row 5 of train.parquet \(it is empty\)"
    with pytest.raises(UserError, match=rf"cannot read 2 images: {names}; repair or remove them, or pass --skip-unrea"):
        load(f"parquet:{tmp_path}")
    with pytest.warns(UserWarning, match=f"skipped 2 unreadable images: {names}"):
        assert len(load(f"parquet:{tmp_path}", skip_unreadable=True).train) == 4


def test_no_source_is_imported_before_it_is_read():
    heavy = {"torchvision", "pyarrow", "sklearn", "PIL", "datasets"}
    code = f"import sys, selfdistill.data; print({heavy} & set(sys.modules))"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "set()"


def test_every_source_says_how_it_is_written():
    for name, source in SOURCES.items():
        assert source.usage.startswith(name)
        assert source.about
