"""Small real runs."""

import sys

import numpy as np
import pytest

from selfdistill import data

NETWORK = """
from torch import nn

def network(classes):
    stem = nn.Conv1d(2, 8, 3, padding=1), nn.BatchNorm1d(8), nn.ReLU()
    head = nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, classes)
    return nn.Sequential(*stem, nn.Conv1d(8, 8, 3, padding=1), *head)

class Auxiliary(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.aux, self.head = nn.Linear(8, classes), nn.Linear(8, classes)

    def forward(self, images):
        first = self.one(images).relu()
        logits = self.head(self.two(first).relu().mean(dim=(2, 3)))
        return (logits, self.aux(first.mean(dim=(2, 3)))) if self.training else logits

class Both(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.one, self.other = nn.Linear(4, 8), nn.Linear(3, 8)
        self.head = nn.Linear(8, classes)

    def forward(self, table, more):
        return self.head((self.one(table) + self.other(more)).relu())
"""


@pytest.fixture(scope="session")
def digits():
    return data.load("digits", limit=200)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a module of networks, and signals and tables for them."""
    (tmp_path / "my_networks.py").write_text(NETWORK)
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 3, 40)
    signals = draws.normal(size=(40, 2, 16)).astype("float32")
    np.savez(tmp_path / "signals.npz", x_train=signals, y_train=labels, x_test=signals[:9], y_test=labels[:9])
    table, more = draws.normal(5, 3, (40, 4)).astype("float32"), draws.normal(size=(40, 3)).astype("float32")
    np.savez(tmp_path / "tables.npz", table=table, more=more, labels=labels)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("my_networks", None)
