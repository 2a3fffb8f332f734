"""Runs of each task, trained once, and a folder of images."""

import numpy as np
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


@pytest.fixture(scope="package")
def arrays(tmp_path_factory):
    """Sixty images of four channels and 16 bits."""
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    values = np.random.default_rng(0).integers(0, 2**15, (60, 4, 8, 8), dtype=np.int32)
    np.savez(path, x=values, y=np.arange(60) % 2)
    return path


@pytest.fixture(scope="package")
def four(arrays, tmp_path_factory):
    """A run on images of four channels."""
    folder = tmp_path_factory.mktemp("four")
    run(small(data=f"tensors:{arrays}?test=0.2", epochs=1, limit=None, batch_size=16), folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Forty images in two folders: more than a batch."""
    for k in range(40):
        save(tmp_path / "pictures" / ("a" if k < 20 else "b") / f"{k:02}.png", k, 16, 20)
    return tmp_path / "pictures"
