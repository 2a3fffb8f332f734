"""Every source on real files, and each thing that can be wrong with them."""

import io
import json
import sys
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from selfdistill import data
from selfdistill.data.sources import torchvision_sets
from selfdistill.errors import UserError


def pixels(seed, size=8):
    return np.random.RandomState(seed).randint(0, 256, (size, size, 3), dtype=np.uint8)


def png(seed, size=8):
    file = io.BytesIO()
    Image.fromarray(pixels(seed, size)).save(file, "png")
    return file.getvalue()


def write_table(path, labels, *, column="label", names=("ant", "bee", "cat"), images=None, size=8, extra=None):
    images = images or [png(k, size) for k in range(len(labels))]
    table = pa.table(
        {
            "img": [{"bytes": each, "path": None} for each in images],
            column: pa.array(labels, pa.int64()),
            **(extra or {}),
        }
    )
    if names:
        info = {"info": {"features": {column: {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


@pytest.fixture
def parquet(tmp_path):
    write_table(tmp_path / "train-00000-of-00002.parquet", [0, 1, 2, 0])
    write_table(tmp_path / "train-00001-of-00002.parquet", [1, 2, 0, 1], images=[png(k) for k in range(4, 8)])
    write_table(tmp_path / "test-00000-of-00001.parquet", [2, 1, 0])
    return tmp_path


def test_digits_are_real_and_split_the_same_way_for_every_seed():
    one, other = data.load("digits"), data.load("digits", seed=5)
    assert (len(one.train), len(one.test)) == (1438, 359)
    assert torch.equal(one.test.images, other.test.images)
    assert one.classes == tuple("0123456789")
    assert one.train.images.shape[1:] == (3, 8, 8)
    assert one.train.images.dtype == torch.uint8
    assert one.train.images.max() == 255
    assert not one.flip
    assert data.load("digits", size=16).train.size == 16


def test_parquet_in_the_hubs_layout(parquet):
    splits = data.load(f"parquet:{parquet}")
    assert splits.train.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert splits.classes == ("ant", "bee", "cat")
    for row in range(8):
        assert torch.equal(splits.train.images[row], torch.from_numpy(pixels(row)).permute(2, 0, 1))
    assert splits.test.labels.tolist() == [2, 1, 0]


def test_parquet_in_a_data_folder_with_fine_and_coarse_labels(tmp_path):
    for split, labels in (("train", [0, 1, 2]), ("validation", [2, 1])):
        coarse = {"coarse_label": pa.array([each % 2 for each in labels], pa.int64())}
        write_table(tmp_path / "data" / f"{split}-0.parquet", labels, column="fine_label", extra=coarse)
    splits = data.load(f"parquet:{tmp_path}")
    assert splits.train.labels.tolist() == [0, 1, 2]
    assert splits.test.labels.tolist() == [2, 1]
    coarse = data.load(f"parquet:{tmp_path}?label=coarse_label")
    assert coarse.train.labels.tolist() == [0, 1, 0]
    assert coarse.classes == ("0", "1")


def test_limit_decodes_only_what_is_kept(parquet):
    splits = data.load(f"parquet:{parquet}", limit=3, seed=1)
    assert sorted(splits.train.labels.tolist()) == [0, 1, 2]
    assert len(splits.test) == 3


def test_real_label_columns_are_wanted(tmp_path, parquet):
    with pytest.raises(UserError, match=r"has no column 'nope'; it has img, label: name one as parquet:PATH\?label"):
        data.load(f"parquet:{parquet}?label=nope")
    table = pq.read_table(parquet / "test-00000-of-00001.parquet")
    pq.write_table(table.drop_columns("img"), parquet / "train-00000-of-00002.parquet")
    pq.write_table(table.drop_columns("img"), parquet / "train-00001-of-00002.parquet")
    with pytest.raises(UserError, match="no column of .* holds images"):
        data.load(f"parquet:{parquet}")


def test_wrong_parquet_files(tmp_path, parquet):
    with pytest.raises(UserError, match="there is no folder '.*nowhere'"):
        data.load(f"parquet:{tmp_path / 'nowhere'}")
    (parquet / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(UserError, match=r"has no test-\*.parquet and no validation-\*.parquet; it holds train"):
        data.load(f"parquet:{parquet}")
    (parquet / "test-0.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match="cannot read test-0.parquet"):
        data.load(f"parquet:{parquet}")


@pytest.mark.parametrize(
    ("labels", "images", "answer"),
    [
        ([0, 1, 2, 7], None, "row 3 of train has the label 7, but there are 3 classes, 0 to 2"),
        ([0, 1, -1, 2], None, "row 2 of train has the label -1"),
        ([0, 1, 1], None, r"1 of 3 classes in .* have no training image \(cat\)"),
        ([0, 1, 2], [png(0), b"broken", png(2)], "cannot read the image in row 1 of train"),
        ([0, 1, 2], [png(0), png(1), png(2)[:60]], "cannot read the image in row 2 of train"),
        ([0, 1, 2], [png(0), None, png(2)], "row 1 of train has no image"),
        ([0, 1, 2], [png(0), png(1, 9), png(2)], "images differ in size: in row 0 of train has 8x8 pixels.*--size"),
        ([0, 1, None], None, "labels are whole numbers, but 'label' of train holds int64 with 1 missing"),
    ],
)
def test_bad_rows_are_named(tmp_path, labels, images, answer):
    write_table(tmp_path / "train-0.parquet", labels, images=images)
    write_table(tmp_path / "test-0.parquet", [0, 1])
    with pytest.raises(UserError, match=answer):
        data.load(f"parquet:{tmp_path}")


def write_folder(root, files, size=8):
    for k, name in enumerate(files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(k, size))


FOLDER = ["train/a/1.png", "train/a/2.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"]


def test_class_folders(tmp_path):
    write_folder(tmp_path, FOLDER)
    splits = data.load(f"folder:{tmp_path}")
    assert splits.classes == ("a", "b")
    assert splits.train.labels.tolist() == [0, 0, 1]
    assert torch.equal(splits.test.images[1], torch.from_numpy(pixels(4)).permute(2, 0, 1))
    assert splits.validation is None


@pytest.mark.parametrize("held", ["val", "valid", "validation"])
def test_validation_folders(tmp_path, held):
    write_folder(tmp_path, [*FOLDER, f"{held}/b/9.png"])
    splits = data.load(f"folder:{tmp_path}")
    assert splits.validation.labels.tolist() == [1]
    assert len(splits.test) == 2


def test_validation_is_the_test_set_where_there_is_none(tmp_path):
    write_folder(tmp_path, [each.replace("test/", "val/") for each in FOLDER])
    splits = data.load(f"folder:{tmp_path}")
    assert splits.validation is None
    assert len(splits.test) == 2


def test_tiny_imagenets_own_layout(tmp_path):
    (tmp_path / "wnids.txt").write_text("n2\nn1\n")
    (tmp_path / "words.txt").write_text("n1\tant\nn2\tbee\nn3\tcat\n")
    write_folder(
        tmp_path, ["train/n1/images/n1_0.JPEG", "train/n2/images/n2_0.JPEG", "val/images/v0.JPEG", "test/images/t.JPEG"]
    )
    (tmp_path / "val" / "val_annotations.txt").write_text("v0.JPEG\tn1\t0\t0\t62\t57\n")
    splits = data.load(f"folder:{tmp_path}")
    assert splits.classes == ("bee", "ant")
    assert splits.train.labels.tolist() == [0, 1]
    assert splits.test.labels.tolist() == [1]
    (tmp_path / "val" / "val_annotations.txt").write_text("v0.JPEG\tn9\t0\t0\t62\t57\n")
    with pytest.raises(UserError, match="names the class 'n9', which wnids.txt does not list"):
        data.load(f"folder:{tmp_path}")


def test_sizes_are_made_equal_on_request(tmp_path):
    write_folder(tmp_path, FOLDER)
    (tmp_path / "train" / "b" / "3.png").write_bytes(png(3, 12))
    with pytest.raises(UserError, match=r"images differ in size: .*1.png has 8x8 pixels, .*3.png 12x12; pass --size"):
        data.load(f"folder:{tmp_path}")
    assert data.load(f"folder:{tmp_path}", size=6).train.images.shape == (4, 3, 6, 6)


def test_the_centre_is_cut_out(tmp_path):
    wide = np.zeros((4, 12, 3), dtype=np.uint8)
    wide[:, 4:8] = 255
    write_folder(tmp_path, FOLDER, size=4)
    Image.fromarray(wide).save(tmp_path / "test" / "a" / "1.png")
    assert data.load(f"folder:{tmp_path}", size=4).test.images[0].min() == 255


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        (["cats/1.png", "dogs/1.png"], "has no train folder, it holds cats, dogs"),
        (["train/a/1.png", "train/b/1.png"], "has no test and no val folder beside train"),
        (["train/a/1.png", "train/b/1.txt", "test/a/1.png"], r"1 of 2 classes .* have no training image \(b\)"),
        (["train/a/1.png", "test/a/1.png"], "has 1 class; a classifier needs two"),
        (["train/a/1.png", "train/b/1.png", "test/c/1.png"], "test/ has a class 'c' that train/ has not"),
        (["train/a/1.png", "train/b/1.png", "test/a/1.txt"], "there are no images in a split"),
    ],
)
def test_wrong_folders(tmp_path, files, answer):
    write_folder(tmp_path, files)
    with pytest.raises(UserError, match=answer):
        data.load(f"folder:{tmp_path}")


def test_a_corrupt_file_is_named(tmp_path):
    write_folder(tmp_path, FOLDER)
    (tmp_path / "train" / "a" / "2.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"cannot read the image .*train/a/2.png"):
        data.load(f"folder:{tmp_path}")


def test_more_than_memory_is_refused(tmp_path):
    write_folder(tmp_path, FOLDER)
    with pytest.raises(UserError, match="GiB, more than half of this machine's.*--size, or --limit"):
        data.load(f"folder:{tmp_path}", size=200_000)


class Grey:
    """Like torchvision's Fashion-MNIST."""

    classes = ("shirt", "shoe")

    def __init__(self, root, train, download):
        assert download
        self.data = torch.from_numpy(np.stack([pixels(k)[..., 0] for k in range(6 if train else 2)]))
        self.targets = torch.arange(len(self.data)) % 2


class Coloured:
    """Like torchvision's CIFAR."""

    classes = ("cat", "dog")

    def __init__(self, root, train, download):
        self.data = np.stack([pixels(k) for k in range(6 if train else 2)])
        self.targets = [k % 2 for k in range(len(self.data))]


class Streets:
    """Like torchvision's SVHN: channels first, labels by another name, no class names."""

    def __init__(self, root, split, download):
        self.data = np.stack([pixels(k).transpose(2, 0, 1) for k in range(6 if split == "train" else 2)])
        self.labels = np.arange(len(self.data)) % 2


@pytest.mark.parametrize(
    ("name", "kind", "like", "flip"),
    [
        ("cifar10", "CIFAR10", Coloured, True),
        ("svhn", "SVHN", Streets, False),
        ("fashion-mnist", "FashionMNIST", Grey, True),
    ],
)
def test_torchvisions_sets(monkeypatch, name, kind, like, flip):
    monkeypatch.setattr(f"torchvision.datasets.{kind}", like)
    splits = data.load(name)
    assert splits.train.images.shape == (6, 3, 8, 8)
    assert splits.test.labels.tolist() == [0, 1]
    assert splits.flip == flip
    first = torch.from_numpy(pixels(0)).permute(2, 0, 1)
    assert torch.equal(splits.train.images[0], first[:1].expand(3, -1, -1) if like is Grey else first)


def test_a_download_that_fails_says_where_to_put_the_files(monkeypatch, tmp_path):
    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setenv("SELFDISTILL_DATA", str(tmp_path))
    monkeypatch.setattr("torchvision.datasets.CIFAR100", fail)
    with pytest.raises(UserError, match=f"cannot download cifar100: no network; put .* into {tmp_path}"):
        data.load("cifar100")
    assert torchvision_sets.folder() == tmp_path


class Split:
    """Like a split of the `datasets` library."""

    def __init__(self, labels):
        info = {"info": {"features": {"label": {"names": ["ant", "bee", "cat"]}}}}
        images = [{"bytes": png(k), "path": None} for k in range(len(labels))]
        table = pa.table({"image": images, "label": labels})
        self.table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
        self.features = {"image": Decoded(), "label": None}

    def cast_column(self, column, feature):
        assert (column, feature.decode) == ("image", False)
        return self

    def with_format(self, kind):
        assert kind == "arrow"
        return self

    def __getitem__(self, rows):
        return self.table


class Decoded:
    def __init__(self, decode=True):
        self.decode = decode


def test_hub_reads_through_the_datasets_library(monkeypatch):
    library = types.ModuleType("datasets")
    library.Image = Decoded
    library.load_dataset = lambda path: {"train": Split([0, 1, 2]), "test": Split([2, 0])}
    monkeypatch.setitem(sys.modules, "datasets", library)
    splits = data.load("hub:org/name")
    assert splits.classes == ("ant", "bee", "cat")
    assert splits.test.labels.tolist() == [2, 0]

    def fail(path):
        raise ConnectionError("offline")

    library.load_dataset = fail
    with pytest.raises(UserError, match="cannot load hub:org/name: offline"):
        data.load("hub:org/name")


def test_hub_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'selfdistill\[hub\]'"):
        data.load("hub:org/name")


def test_fake_images():
    splits = data.load("fake:classes=3,size=10,train=9,test=6")
    assert splits.train.images.shape == (9, 3, 10, 10)
    assert torch.equal(splits.train.images, data.load("fake:classes=3,size=10,train=9,test=6").train.images)
    with pytest.raises(UserError, match="cannot read 'klasses=3'"):
        data.load("fake:klasses=3")


def test_unknown_sources():
    with pytest.raises(UserError, match="there is no data source 'digit'; did you mean 'digits'"):
        data.load("digit")
