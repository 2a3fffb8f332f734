"""Images of large Parquet sets: a copy on the disk that gives each row, equal to the set in memory."""

import os

import pyarrow as pa
import pytest
import torch

from selfdistill.data.lazy import LazyImages
from selfdistill.data.row_views import RowView
from selfdistill.data.sources import packed_images, parquet
from selfdistill.data.sources.packed_images import PackedImages
from selfdistill.data.sources.table_file import open_parquet
from selfdistill.errors import UserError
from tests.helpers.image_files import encoded, save, table, write


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SELFDISTILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "parquet"


@pytest.fixture
def root(tmp_path):
    for part in range(2):
        images = [encoded(10 * part + k) for k in range(6)]
        write(tmp_path / "set" / f"train-0000{part}-of-00002.parquet", table(images, label=[0, 1, 2] * 2))
    write(tmp_path / "set" / "test.parquet", table([encoded(50)], label=[2]))
    return tmp_path / "set"


def read(root, in_memory=0, rows=range(12)):
    return parquet.read("parquet", str(root), lambda labels, classes: torch.tensor(rows), None, in_memory=in_memory)


def test_images_on_the_disk_are_those_in_memory(root):
    rows = (11, 3, 0, 6)
    there, here = read(root, rows=rows), read(root, in_memory=10**9, rows=rows)
    assert torch.equal(there.train.images[:], here.train.images[:])
    assert torch.equal(there.train.labels, here.train.labels)
    assert [*there.train.images.names] == [*here.train.images.names]
    assert there.train.images.names[0] == "in row 5 of train-00001-of-00002.parquet"


def test_no_image_is_held(root):
    images = read(root).train.images
    assert isinstance(images, LazyImages)
    assert isinstance(images.sources, RowView)
    assert isinstance(images.rows(torch.tensor([1])).sources, RowView)
    assert isinstance(read(root, in_memory=10**9).train.images.sources, list)


def test_the_copy_is_made_once(root, cache):
    read(root)
    before = {each: each.stat().st_mtime_ns for each in cache.glob("*.images")}
    read(root)
    assert len(before) == 3
    assert {each: each.stat().st_mtime_ns for each in cache.glob("*.images")} == before


def test_a_changed_file_is_copied_again(root):
    read(root)
    write(root / "test.parquet", table([encoded(51)], label=[1]))
    os.utime(root / "test.parquet", (1, 1))  # the size may be the same
    assert torch.equal(read(root).test.images[:], read(root, in_memory=10**9).test.images[:])


def test_a_removed_copy_is_made_again(root, cache):
    read(root)
    for each in cache.glob("*.images"):
        each.unlink()
    assert read(root).train.images[0].shape == read(root, in_memory=10**9).train.images[0].shape


def test_the_note_names_the_folder(root, cache):
    assert f"stay on the disk: they are copied once to {cache}, which can be deleted" in read(root).notes[-1]
    assert not read(root, in_memory=10**9).notes


def test_blocks_cover_all_rows(tmp_path, monkeypatch):
    images = [encoded(k) for k in range(7)]
    write(tmp_path / "x.parquet", table(images, "image", label=[0] * 7))
    monkeypatch.setattr("selfdistill.data.sources.table_file.BLOCK", 3)
    assert [*PackedImages(open_parquet(tmp_path / "x.parquet", tmp_path), "image")] == images


def test_cells_with_paths_stay_paths(tmp_path):
    save(tmp_path / "a.png", 3)
    cells = pa.array([{"bytes": encoded(1), "path": None}, {"bytes": None, "path": "a.png"}])
    write(tmp_path / "x.parquet", pa.table({"image": cells}))
    packed = PackedImages(open_parquet(tmp_path / "x.parquet", tmp_path), "image")
    assert [*packed] == [encoded(1), tmp_path / "a.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(UserError, match=r"the image in row 1 of x.parquet is only a path, 'a.png', and there is no"):
        PackedImages(open_parquet(tmp_path / "x.parquet", tmp_path), "image")


def test_a_full_disk_is_named_before_the_copy(root, monkeypatch, cache):
    monkeypatch.setattr(packed_images, "free_disk", lambda folder: 2**20)
    with pytest.raises(UserError, match=r"needs 256 MiB of disk, 1 MiB are free at .*choose another folder by \$SELF"):
        read(root)
    assert not [*cache.glob("*.images")]


def test_a_damaged_file_is_named(root):
    path = root / "train-00000-of-00002.parquet"
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*train-00000-of-00002.parquet.*fetch the file again"):
        read(root)
