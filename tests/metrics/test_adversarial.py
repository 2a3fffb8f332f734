import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn

from selfdistill.data import Augmentation, Images
from selfdistill.metrics.adversarial import fgsm, fgsm_accuracy, pgd, pgd_accuracy
from selfdistill.metrics.model import EvaluatedModel
from tests.helpers.networks import network

SHIFTED = Augmentation(0, False, (0.5, 0.4, 0.3), (0.2, 0.3, 0.25))


def subject(model, augment=SHIFTED):
    return EvaluatedModel(model, augment, torch.device("cpu"), batch_size=7)


def some(rows=10, size=8):
    draws = Generator().manual_seed(3)
    pixels = torch.randint(256, (rows, 3, size, size), generator=draws, dtype=torch.uint8)
    return Images(pixels, torch.randint(5, (rows,), generator=draws))


@settings(max_examples=20)
@given(st.floats(0.5, 60), st.integers(0, 3), st.integers(0, 1000))
def test_no_pixel_leaves_the_ball_or_the_range(epsilon, steps, seed):
    logits, images = subject(network().eval()).logits, some()
    pixels = images.images.float()
    for changed in (
        fgsm(logits, images.images, images.labels, epsilon),
        pgd(logits, images.images, images.labels, epsilon, Generator().manual_seed(seed), steps=steps),
    ):
        assert (changed - pixels).abs().max() <= epsilon * (1 + 1e-5)
        assert changed.min() >= 0
        assert changed.max() <= 255


class Linear(nn.Module):
    """A network whose gradient is known."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images):
        score = (images * self.weight).sum(dim=(1, 2, 3))
        return torch.stack([score, -score], dim=1)


@pytest.fixture
def linear():
    weight = torch.randn(3, 4, 4, generator=Generator().manual_seed(0))
    return Linear(weight), weight


def test_fgsm_of_a_linear_network_is_known(linear):
    model, weight = linear
    pixels = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    found = fgsm(subject(model).logits, pixels, torch.tensor([0, 1]), 8)
    towards = torch.stack([-weight.sign(), weight.sign()])  # lower the score of class 0, raise that of class 1
    torch.testing.assert_close(found, 100 + 8 * towards)


def test_pgd_reaches_the_worst_corner_of_a_linear_network(linear):
    model, weight = linear
    pixels = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    found = pgd(subject(model).logits, pixels, torch.tensor([0]), 8, Generator().manual_seed(0))
    torch.testing.assert_close(found, 100 - 8 * weight.sign()[None])  # 10 steps of 2 from anywhere within 8


def test_accuracy_of_a_linear_network_falls_where_it_must(linear):
    """An image is lost exactly where epsilon's worth of all weights outweighs its score."""
    model, weight = linear
    draws = Generator().manual_seed(1)
    pixels = torch.randint(100, 150, (60, 3, 4, 4), generator=draws, dtype=torch.uint8)
    watched = subject(model)
    score = watched.logits(pixels.float())[:, 0]
    images = Images(pixels, (score < 0).long())  # all right, at first
    scale = torch.tensor(SHIFTED.std)[:, None, None] * 255
    for epsilon in (1.0, 4.0):
        want = 100 * (score.abs() > epsilon * (weight / scale).abs().sum()).double().mean().item()
        key = f"{epsilon:g}/255"
        assert fgsm_accuracy(watched, images, [epsilon]) == {key: pytest.approx(want)}
        assert pgd_accuracy(watched, images, [epsilon], seed=0) == {key: pytest.approx(want)}
        assert 0 < want < 100


def test_the_network_and_its_gradients_are_left_alone():
    model, images = network("batch").train(), some()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pgd_accuracy(subject(model), images, [4.0], seed=0)
    assert all(each.grad is None for each in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training


def test_the_seed_decides():
    logits, images = subject(network().eval()).logits, some()
    one, same, other = (
        pgd(logits, images.images, images.labels, 8.0, Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
