"""What every test starts from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from selfdistill.train import trainer

settings.register_profile("untimed", deadline=None)  # a busy machine is no mistake
settings.load_profile("untimed")
torch.set_num_threads(1)  # the suite runs in parallel processes


class Reference(dict):
    """The arrays of a reference file as tensors."""

    def __init__(self, name: str):
        with np.load(Path(__file__).parent / "reference" / f"{name}.npz") as arrays:
            super().__init__({key: torch.from_numpy(arrays[key]) for key in arrays.files})


@pytest.fixture(autouse=True)
def _checkpoints_after_each_epoch(monkeypatch):
    """Epochs of tests are short, and what they leave is what is tested."""
    monkeypatch.setattr(trainer, "EPOCH_SAVE_EVERY", 0.0)


@pytest.fixture
def reference():
    return Reference


@pytest.fixture
def float64():
    """Networks and tensors in float64, so that a difference is a mistake and not rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
