"""The docstrings' examples run in an empty folder, with `sd` and `torch` imported."""

from pathlib import Path
from typing import Any

import pytest
import torch

import selfdistill as sd

torch.set_num_threads(1)  # the suite runs in parallel processes


@pytest.fixture(autouse=True)
def _empty_folder(doctest_namespace: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # examples train into folders such as runs/drg
    doctest_namespace.update(sd=sd, torch=torch)
