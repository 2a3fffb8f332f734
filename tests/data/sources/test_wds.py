"""Tar shards of WebDataset: images by their places, labels of each form, and what is refused."""

import gzip
import json

import numpy as np
import pytest
import torch

from selfdistill.data import load
from selfdistill.data.decode import decode
from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.row_views import RowView
from selfdistill.data.sources import tar_index
from selfdistill.errors import UserError
from selfdistill.train.run import run
from tests.helpers.image_files import encoded, table, write
from tests.helpers.small_runs import Interrupted, StopAfter, small, weights
from tests.helpers.tar_shards import samples, write_shard

LABELS = [0, 1, 2, 1, 0, 2]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SELFDISTILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    for part in range(2):
        write_shard(tmp_path / f"train-00{part}.tar", samples(LABELS, images(10 * part)))
    write_shard(tmp_path / "test-0.tar", samples([2, 0], images(30, 2)))
    return tmp_path


def images(first, count=6):
    return [encoded(first + k) for k in range(count)]


def spec(root, options="?test=test-0.tar"):
    return f"wds:{root}/train-{{000..001}}.tar{options}"


def drawn(spec, share=0.5):
    return load(spec, test=share, on_note=lambda note: None)


def one_shard(root, members, options=""):
    write_shard(root / "one.tar", members)
    return drawn(f"wds:{root}/one.tar{options}")


def test_images_and_labels_are_those_of_the_members(root):
    splits = load(spec(root), decode="stream")
    whole = decode(images(0) + images(10), str, None)
    assert torch.equal(splits.train.images[torch.tensor([11, 0, 7])], whole[[11, 0, 7]])
    assert splits.train.labels.tolist() == LABELS * 2
    assert splits.test.labels.tolist() == [2, 0]
    assert splits.classes == ("0", "1", "2")
    assert splits.train.images.names[8] == "0002 of train-001.tar"
    assert isinstance(splits.train.images.sources, RowView)


def test_wildcards_read_the_same(root):
    assert torch.equal(load(f"wds:{root}/train-*.tar?test=test-0.tar").train.images, load(spec(root)).train.images)


def test_a_share_is_the_test_set(root):
    splits = drawn(spec(root, ""), 0.25)
    assert (len(splits.train), len(splits.test)) == (9, 3)
    assert "3 of the 12 images of" in splits.notes[0]
    with pytest.raises(UserError, match=r"has no test images; add \?test=PATTERN, or hold out .* by --test 0.2"):
        load(spec(root, ""))
    with pytest.raises(UserError, match="has test images, so there is nothing to draw"):
        load(spec(root), test=0.25)


def test_validation_shards_stand_beside_the_test_or_for_it(root):
    write_shard(root / "val.tar", samples([1], images(50, 1)))
    both = load(spec(root, f"?val={root}/val.tar&test=test-0.tar"))
    assert (len(both.validation), len(both.test)) == (1, 2)
    assert len(load(spec(root, "?val=val.tar")).test) == 1


@pytest.mark.parametrize("ending", ["json", "txt"])
def test_names_of_classes_are_sorted(tmp_path, ending):
    texts = [json.dumps({"label": each, "width": 8}) if ending == "json" else each for each in ("cat", "ant") * 2]
    splits = one_shard(tmp_path, samples(texts, images(0, 4), ending))
    assert splits.classes == ("ant", "cat")
    assert sorted([*splits.train.labels.tolist(), *splits.test.labels.tolist()]) == [0, 0, 1, 1]


def test_options_choose_members_and_keys(tmp_path):
    members = [
        (f"a/{k}.{name}", content)
        for k, image in enumerate(images(0, 4))
        for name, content in {
            "in.png": image,
            "mask.png": b"",
            "cls": b"7",
            "json": json.dumps({"kind": k % 2}).encode(),
        }.items()
    ]
    (tmp_path / "names.json").write_text('{"0": "ant", "1": "bee"}')
    splits = one_shard(tmp_path, members, "?image=in.png&label=json&key=kind&names=names.json")
    assert splits.classes == ("ant", "bee")
    with pytest.raises(UserError, match=r"'a/0' of .* has 2 images \(in.png, mask.png\), .* by \?image=jpg"):
        load(f"wds:{tmp_path}/one.tar", test=0.5)
    with pytest.raises(UserError, match=r"has no 'label', but kind; name it by \?key=NAME"):
        load(f"wds:{tmp_path}/one.tar?image=in.png&label=json", test=0.5)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("0.png", b"x")], r"'0' of .*one.tar' has no label: cls, json, txt are read, and it has png; add"),
        ([("0.cls", b"0")], r"'0' of .* has no image, but cls; name the image by \?image=jpg"),
        ([("0.png", b"x"), ("0.cls", b"0"), ("1.png", b"x")], r"'1' of .* has no cls, but png; add the label"),
        ([("0.png", b"x"), ("0.cls", b" ")], r"the cls of '0' of .* is empty"),
        ([("0.png", b"x"), ("0.cls", b"\xff")], r"cannot read the cls of '0' of .*write it in UTF-8"),
        ([("0.png", b"x"), ("0.json", b"{")], r"cannot read the json of '0' of "),
        ([("0.png", b"x"), ("0.json", b'{"label": 0.5}')], r"the label of '0' of .* is 0.5, but a class is a whole"),
        ([("0.png", b"x"), ("0.cls", b"0"), ("0.png", b"y")], r"the key '0' is in .*one.tar' twice \(0.png\)"),
        ([("0.cls", b"0"), ("1.cls", b"0"), ("0.png", b"y")], r"the key '0' is in .* twice"),
        ([("read me", b"")], r"has no samples; a shard has members such as 0001.jpg and 0001.cls"),
        ([("0.png", b"x"), ("0.cls", b"-1"), ("1.png", b"y"), ("1.cls", b"0")], r"1 of the 2 samples of one.tar have"),
    ],
)
def test_wrong_samples_are_answered_in_a_line(tmp_path, members, message):
    with pytest.raises(UserError, match=message) as error:
        one_shard(tmp_path, members)
    assert "\n" not in str(error.value)


def test_a_compressed_shard_is_refused(root):
    path = root / "train-001.tar"
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UserError, match=r"train-001.tar' is compressed by gzip, so no image has a place in it; unpack"):
        load(spec(root))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: whole[:700], "it is no whole tar file .unexpected end of data."),
        (lambda whole: whole[:1024], "is cut off or damaged after"),
        (lambda whole: whole[:1024] + b"?" * 512 + whole[1536:], "is cut off or damaged after 1024 bytes"),
        (lambda whole: whole + whole, "holds a second archive after"),
        (lambda whole: b"?" * 2000, "it is no whole tar file"),
        (lambda whole: b"", "it is no whole tar file"),
    ],
)
def test_a_damaged_shard_is_refused(root, damage, message):
    path = root / "train-001.tar"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=rf"train-001.tar.*{message}.*fetch it again"):
        load(spec(root))


def test_a_shard_that_is_there_twice_is_refused(root):
    (root / "test-0.tar").write_bytes((root / "train-000.tar").read_bytes())
    with pytest.raises(UserError, match=r"train-000.tar' and .*test-0.tar' have the same content; fetch one"):
        load(spec(root))
    with pytest.raises(UserError, match=r"train-000.tar' is named twice, for train and test"):
        load(spec(root, "?test=train-000.tar"))


def test_a_class_without_training_images_is_refused(root):
    write_shard(root / "test-0.tar", samples([0, 5], images(30, 2)))
    with pytest.raises(UserError, match=r"test-0.tar"):
        load(spec(root))


def test_the_index_is_kept_until_the_shard_changes(root, monkeypatch, cache):
    monkeypatch.setattr(tar_index, "KEPT", 1)
    first = load(spec(root))
    assert len([*(cache / "shards").glob("*.npz")]) == 3
    with monkeypatch.context() as patch:
        patch.setattr(tar_index, "_index", None)
        again = load(spec(root))
    assert torch.equal(first.train.images, again.train.images)
    assert [*map(str, first.train.labels)] == [*map(str, again.train.labels)]
    write_shard(root / "test-0.tar", samples([1], images(40, 1)))
    assert load(spec(root)).test.labels.tolist() == [1]


def test_the_fingerprint_covers_all_shards(root):
    before = fingerprint(spec(root))
    assert before["count"] == 3
    write_shard(root / "test-0.tar", samples([0, 2], images(30, 2)))
    assert fingerprint(spec(root)) != before


def test_the_set_is_that_of_parquet_files(root, tmp_path):
    write(tmp_path / "set" / "train.parquet", table(images(0) + images(10), label=LABELS * 2))
    write(tmp_path / "set" / "test.parquet", table(images(30, 2), label=[2, 0]))
    one, other = load(spec(root), decode="stream"), load(f"parquet:{tmp_path}/set")
    assert torch.equal(one.train.images[:], other.train.images)
    assert np.array_equal(one.train.labels, other.train.labels)


def test_a_resumed_run_is_the_uninterrupted_one(root, tmp_path):
    config = small(data=spec(root), limit=None, batch_size=5, size=8, model="resnet8", decode="stream")
    run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "parts", listener=StopAfter(1))
    run(config, tmp_path / "parts")
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
