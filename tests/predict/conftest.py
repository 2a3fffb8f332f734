"""Runs of each task, trained once, and a folder of images."""

import pytest

from selfdistill.train.run import run
from tests.helpers.image_files import save
from tests.helpers.small_runs import segmenting, small, tagging


@pytest.fixture(scope="package")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    run(small(epochs=1, limit=100), folder)
    return folder


@pytest.fixture(scope="package")
def tagger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagger")
    run(tagging(epochs=1), folder)
    return folder


@pytest.fixture(scope="package")
def segmenter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmenter")
    run(segmenting(epochs=1), folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Forty images in two folders: more than a batch."""
    for k in range(40):
        save(tmp_path / "pictures" / ("a" if k < 20 else "b") / f"{k:02}.png", k, 16, 20)
    return tmp_path / "pictures"
