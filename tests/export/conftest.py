"""A finished run, trained once."""

import pytest

from selfdistill import data
from selfdistill.train.config import RunConfig
from selfdistill.train.run import run


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = RunConfig("drg() + csd()", limit=100, epochs=1, batch_size=32)
    run(config, folder, splits=data.load("digits", limit=100))
    return folder
