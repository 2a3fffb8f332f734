import os
import socket
import warnings

import pytest

from selfdistill.data import load
from selfdistill.data.sources.image_files import find_images, image_endings
from selfdistill.errors import UserError
from tests.helpers.image_files import class_folders, picture, save


@pytest.fixture
def root(tmp_path):
    """Two classes with two training images and a test image each."""
    return class_folders(tmp_path / "data", {"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})


def train(root, **options):
    return len(load(f"folder:{root}", **options).train)


def test_endings_are_those_of_the_formats_that_pillow_reads():
    read = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".jp2", ".j2k"}
    read |= {".pgm", ".ppm", ".pbm", ".pnm", ".pfm", ".ico", ".tga", ".dds", ".mpo", ".pcx", ".sgi"}
    assert read <= image_endings()
    assert not image_endings() & {".pdf", ".eps", ".h5", ".hdf", ".grib", ".mpg", ".wmf", ".txt", ".npy", ""}


@pytest.mark.parametrize(
    ("ending", "form"),
    [
        (".jfif", "JPEG"),
        (".jpe", "JPEG"),
        (".JPG", "JPEG"),
        (".Png", "PNG"),
        (".pgm", "PPM"),
        (".pbm", "PPM"),
        (".jp2", "JPEG2000"),
        (".webp", "WEBP"),
        (".TIF", "TIFF"),
        (".bmp", "BMP"),
        (".tga", "TGA"),
        (".ico", "ICO"),
        (".mpo", "MPO"),
        (".png", "JPEG"),  # the content decides
    ],
)
def test_images_of_every_ending_are_read(root, ending, form):
    picture(size=8).save(root / "train" / "a" / f"x{ending}", form, **({"sizes": [(8, 8)]} if form == "ICO" else {}))
    assert train(root) == 5


def test_avif_is_read_where_pillow_can(root):
    if ".avif" not in image_endings():
        pytest.skip("this Pillow has no AVIF")
    picture(size=8).save(root / "train" / "a" / "x.avif")
    assert train(root) == 5


def test_files_that_are_left_out_are_told_with_their_count(root):
    for k in range(4):
        (root / "train" / "a" / f"{k}.heic").write_bytes(b"another format")
    (root / "test" / "b" / "README").write_text("photos")
    said = r"left out 5 files \(4 .heic, 1 no ending\) of .*data that are not image files .*: train/a/0.heic, .*, …$"
    with pytest.warns(UserWarning, match=said):
        assert train(root) == 4
    told = []
    splits = load(f"folder:{root}", on_note=told.append)
    assert list(splits.notes) == told
    assert len(told) == 1


def test_images_outside_class_folders_and_folders_beside_the_splits_are_told(root):
    for place in ("train/x.png", "train/y.png", "extra/a/z.png"):
        save(root / place)
    told = []
    assert train(root, on_note=told.append) == 4
    assert told == [
        f"left out 2 files (2 .png) of {root} that belong to no class: train/x.png, train/y.png",
        f"left out these folders of {root}: extra",
    ]


HIDDEN = (".git", ".ipynb_checkpoints", "__MACOSX", ".thumbnails", "@eaDir", "$RECYCLE.BIN", "__pycache__")


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("place", ["train/a", "test/a", "train", "."])
def test_hidden_folders_are_passed_over_at_every_depth(root, name, place):
    save(root / place / name / "copy.png")
    save(root / place / name / "more" / "copy.png")
    assert train(root) == 4
    assert len(load(f"folder:{root}").test) == 2


@pytest.mark.parametrize("name", ["._00.png", ".hidden.jpg", "Thumbs.db", "desktop.ini", ".DS_Store"])
def test_hidden_files_are_passed_over(root, name):
    (root / "train" / "a" / name).write_bytes(b"a note of another system")
    assert train(root) == 4


def test_a_data_set_below_a_hidden_folder_is_read(tmp_path):
    folders = class_folders(tmp_path / ".cache", {"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})
    assert train(folders) == 4


def test_links_are_followed(root, tmp_path):
    save(tmp_path / "elsewhere" / "x.png")
    save(tmp_path / "elsewhere" / "deep" / "y.png")
    (root / "train" / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "train" / "a" / "z.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    assert len(load(f"folder:{root}?classes=top").train) == 7


def test_a_linked_split_and_a_linked_root_are_read(root, tmp_path):
    (root / "val").symlink_to(root / "test", target_is_directory=True)
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    splits = load(f"folder:{tmp_path / 'link'}")
    assert (len(splits.train), len(splits.validation)) == (4, 2)


def test_links_in_circles_end_and_count_no_image_twice(root):
    (root / "train" / "a" / "up").symlink_to(root / "train" / "a", target_is_directory=True)
    (root / "train" / "a" / "root").symlink_to(root / "train" / "a" / "up", target_is_directory=True)
    with pytest.warns(UserWarning, match=r"left out 2 files .*train/a/root, train/a/up"):
        assert train(root) == 4


def test_links_to_folders_above_are_left_out_and_told(root):
    (root / "train" / "a" / "root").symlink_to(root, target_is_directory=True)
    (root / "train" / "c").symlink_to(root / "train", target_is_directory=True)
    (root / "test" / "b" / "up").symlink_to("..", target_is_directory=True)
    with pytest.warns(UserWarning, match=r"left out 3 files .*: train/a/root, train/c, test/b/up$"):
        splits = load(f"folder:{root}")
    assert (splits.classes, len(splits.train), len(splits.test)) == (("a", "b"), 4, 2)


def test_a_broken_link_is_left_out_and_told(root):
    (root / "train" / "a" / "x.png").symlink_to(root / "nowhere.png")
    with pytest.warns(UserWarning, match=r"left out 1 file .*train/a/x.png"):
        assert train(root) == 4


def test_what_is_no_regular_file_never_hangs(root):
    os.mkfifo(root / "train" / "a" / "fifo.png")
    os.mkfifo(root / "train" / "loose.png")
    os.mkfifo(root / "wnids.txt")
    (root / "train" / "a" / "null.png").symlink_to("/dev/null")
    (root / "train" / "b" / "fifo.png").symlink_to(root / "train" / "a" / "fifo.png")
    with warnings.catch_warnings(record=True) as told, socket.socket(socket.AF_UNIX) as bound:
        warnings.simplefilter("always")
        folder = os.open(root / "test" / "a", os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{folder}/s.png")  # the path itself may be too long for a socket
        os.close(folder)
        assert train(root) == 4
    assert "left out 5 files" in str(told[0].message)


def test_a_fifo_in_the_lists_of_tiny_imagenet_is_unreadable(tmp_path):
    save(tmp_path / "train" / "n01" / "images" / "a.png")
    save(tmp_path / "train" / "n02" / "images" / "b.png")
    save(tmp_path / "val" / "images" / "c.png")
    (tmp_path / "wnids.txt").write_text("n01\nn02\n")
    (tmp_path / "val" / "val_annotations.txt").write_text("c.png\tn01\nd.png\tn02\ne.png\tn02\n")
    os.mkfifo(tmp_path / "val" / "images" / "d.png")
    said = r"2 images: .*d.png \(it is not a regular file\), .*e.png \(there is no such file\); repair"
    with pytest.raises(UserError, match=said):
        load(f"folder:{tmp_path}", size=8, on_note=print)


def test_a_folder_that_may_not_be_listed_is_named(root, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"cannot list '.*': Permission denied; change its rights"):
        find_images(root)
