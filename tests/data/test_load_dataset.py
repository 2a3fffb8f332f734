import subprocess
import sys

import pytest
import torch

from selfdistill.data import SOURCES, load
from selfdistill.errors import UserError
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
            r"no data source 'digit'; did you mean 'digits'\? there are digits, parquet, folder, cifar10",
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
    with pytest.raises(UserError, match=rf"did you mean 'folder:{tmp_path}' or 'parquet:{tmp_path}'\?"):
        load(str(tmp_path))


def test_splits_of_different_sizes_are_refused(tmp_path):
    class_folders(tmp_path, {"train/a": 2, "train/b": 2})
    class_folders(tmp_path, {"test/a": 1, "test/b": 1}, size=9)
    with pytest.raises(UserError, match=r"have 8 pixels a side, its test images 9; pass --size"):
        load(f"folder:{tmp_path}")
    assert load(f"folder:{tmp_path}", size=8).test.size == 8


def test_no_source_is_imported_before_it_is_read():
    heavy = {"torchvision", "pyarrow", "sklearn", "PIL", "datasets"}
    code = f"import sys, selfdistill.data; print({heavy} & set(sys.modules))"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "set()"


def test_every_source_says_how_it_is_written():
    for name, source in SOURCES.items():
        assert source.usage.startswith(name)
        assert source.about
