"""Tests that need a CUDA device: skipped with the reason where there is none."""

import pytest
import torch


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/cuda/" in item.path.as_posix():
            item.add_marker("cuda")


@pytest.fixture(autouse=True)
def _device_needed():
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")


@pytest.fixture
def device():
    return torch.device("cuda")
