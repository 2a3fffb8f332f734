import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.data.batch import Mix
from selfdistill.functional import prediction_trust
from selfdistill.methods import proselflc
from tests.helpers.step_contexts import clock, only, step_context, total


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def loss(logits, labels, epoch, epochs, mix=None, **options):
    at = clock()._replace(epoch=torch.tensor(float(epoch)), epochs=torch.tensor(float(epochs)))
    return only(proselflc(**options), "task").loss(step_context(logits, labels, clock=at, mix=mix))


def test_it_is_the_published_loss(reference):
    want = reference("proselflc")
    logits = want["logits"].requires_grad_()
    options = {"slope": want["exp_base"].item(), "transit": want["transit"].item()}
    found = total(loss(logits, want["targets"], want["epoch"].item(), want["epochs"].item(), **options))
    found.backward()
    assert_close(found.detach(), want["loss"], rtol=1e-6, atol=0)
    assert_close(logits.grad, want["grad_logits"], rtol=1e-6, atol=1e-8)
    late = torch.sigmoid(want["exp_base"] * (want["epoch"] / want["epochs"] - want["transit"]))
    assert_close(late * prediction_trust(logits), want["trust"], rtol=1e-6, atol=1e-7)


def test_even_predictions_are_not_trusted_and_certain_ones_are():
    assert_close(prediction_trust(torch.zeros(2, 5)), torch.zeros(2))
    assert_close(prediction_trust(90 * torch.eye(5)), torch.ones(5))
    value = loss(torch.zeros(3, 4), torch.tensor([0, 1, 3]), 9, 10)
    assert_close(total(value), value["learn"], rtol=1e-5, atol=0)


def test_the_trust_grows_with_training():
    logits, labels = torch.randn(6, 5), torch.arange(6) % 5
    changes = [loss(logits, labels, epoch, 100)["mimic"].abs().item() for epoch in (0, 30, 60, 99)]
    assert changes == sorted(changes)
    assert changes[0] < 0.02 * changes[3]


def test_mixed_labels_count_by_shares():
    logits, labels, partners = (
        torch.randn(4, 3),
        torch.tensor([0, 1, 2, 0]),
        torch.tensor([[0, 1], [1, 2], [2, 3], [3, 0]]),
    )
    mix = Mix(torch.tensor([[0.7, 0.3]]).repeat(4, 1), partners)
    value = loss(logits, labels, 0, 100, mix, slope=1000.0)  # no trust yet
    shares = 0.7 * F.one_hot(labels, 3) + 0.3 * F.one_hot(labels[partners[:, 1]], 3)
    assert_close(total(value), -(shares * logits.log_softmax(dim=1)).sum(dim=1).mean(), rtol=1e-4, atol=0)
