"""The strength of terms whose weight is ours: the gradient beside that of cross-entropy, as networks are drawn."""

import pytest
import torch

from selfdistill.step import memory
from tests.contract.steps import IMAGES, ROWS, batch, clock, distil
from tests.helpers.networks import network


def strength(method, kind, seed):
    """Gradient norm of a method's weighted term in units of cross-entropy's, over the student's weights."""
    distiller = distil(method, kind, network(kind, seed), seed)
    memories = memory.start(distiller.terms, distiller.training_info(ROWS, IMAGES))
    losses = distiller(batch(seed, distiller.method), clock(0), memories).losses
    norms = {name: distiller.weight(name) * gradient_norm(loss, distiller.student) for name, loss in losses.items()}
    return sum(norms.values()) / norms["task"] - 1


def gradient_norm(loss, student):
    found = torch.autograd.grad(loss, list(student.parameters()), retain_graph=True, allow_unused=True)
    return torch.stack([each.norm() for each in found if each is not None]).norm().item()


@pytest.mark.parametrize("kind", ["batch", "group", "tokens"])
@pytest.mark.parametrize("method", ["scd()", "sad()"])
def test_a_default_does_not_outweigh_cross_entropy(method, kind):
    assert all(0 < strength(method, kind, seed) < 2 for seed in range(4))


def test_earlier_defaults_did():
    assert strength("scd(weight=100.0)", "batch", 0) > 3
