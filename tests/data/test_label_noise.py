import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfdistill.data import load
from selfdistill.data.label_noise import add_label_noise
from selfdistill.train.config import RunConfig
from selfdistill.train.run import load_data


@settings(max_examples=60)
@given(st.integers(2, 10), st.integers(1, 200), st.floats(0, 0.99), st.integers(0, 1000))
def test_exactly_the_share_is_wrong_and_every_label_a_class(classes, rows, share, seed):
    labels = torch.arange(rows) % classes
    noisy = add_label_noise(labels, share, classes, seed)
    assert int((noisy != labels).sum()) == round(rows * share)
    assert 0 <= int(noisy.min()) <= int(noisy.max()) < classes
    assert torch.equal(labels, torch.arange(rows) % classes)


def test_all_other_classes_are_alike():
    labels = torch.full((90_000,), 3)
    counts = add_label_noise(labels, 0.9, 10, 0).bincount(minlength=10)
    others = torch.cat([counts[:3], counts[4:]])
    assert counts[3] == 9_000
    assert (others - 9_000).abs().max() < 4.5 * 9_000**0.5


def test_the_seed_decides():
    labels = torch.arange(100) % 5
    one, same, other = (add_label_noise(labels, 0.4, 5, seed) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_only_training_labels_are_wrong(share):
    options = {"limit": 200, "validation": 0.25, "seed": 3}
    clean, noisy = load("digits", **options), load("digits", label_noise=share, **options)
    assert int((noisy.train.labels != clean.train.labels).sum()) == round(150 * share)
    assert torch.equal(noisy.train.images, clean.train.images)
    for split in ("validation", "test"):
        assert torch.equal(getattr(noisy, split).labels, getattr(clean, split).labels)


def test_a_run_trains_on_them():
    clean, noisy = (load_data(RunConfig("ce()", limit=100, label_noise=share)) for share in (0.0, 0.3))
    assert int((noisy.train.labels != clean.train.labels).sum()) == 30
