from pathlib import Path

import pytest

from selfdistill.train.run import run
from tests.helpers.small_runs import small


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two epochs."""
    folder = tmp_path_factory.mktemp("tracked") / "study" / "run"
    run(small("drg()", validation=0.2), folder)
    return folder
