import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.data.batch import Batch
from selfdistill.data.mixing import Mixing, label_shares
from selfdistill.methods import focal
from tests.helpers.step_contexts import only, step_context


def value(logits, labels, gamma=2.0, mix=None):
    return only(focal(gamma), "task").loss(step_context(logits, labels, mix=mix))


def test_focal_is_the_published_loss(reference):
    want = reference("focal")
    logits = want["logits"].requires_grad_()
    loss = value(logits, want["targets"], want["gamma"].item())
    loss.backward()
    assert_close(loss.detach(), want["loss"], rtol=1e-7, atol=0)  # the published one adds nothing, but rounds
    assert_close(logits.grad, want["grad_logits"], rtol=1e-7, atol=1e-12)


def test_without_focus_it_is_cross_entropy(reference):
    want = reference("focal")
    assert_close(value(want["logits"], want["targets"], 0.0), F.cross_entropy(want["logits"], want["targets"]))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("size", [0.0, 1e4, -1e4])
def test_certain_rows_have_finite_gradients(gamma, size):
    logits = (torch.eye(4) * size).requires_grad_()
    loss = value(logits, torch.arange(4), gamma)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.abs().max() <= 1.0


def test_mixed_labels_count_by_their_shares(reference):
    want = reference("focal")
    logits, labels = want["logits"], want["targets"]
    mix = Mixing(per="row").draw(torch.Size((len(labels), 3, 2, 2)), torch.Generator().manual_seed(0))
    loop = 0.0
    for b in range(len(labels)):
        for k in range(2):
            one = value(logits[b : b + 1], labels[mix.partners[b, k]][None])
            loop += mix.shares[b, k].double() * one / len(labels)
    assert_close(value(logits, labels, mix=mix).double(), loop, rtol=1e-6, atol=0)


def test_shares_of_labels():
    labels = torch.tensor([2, 0, 2])
    plain = Batch(torch.zeros(3, 3, 2, 2), labels)
    assert torch.equal(label_shares(plain, 4), F.one_hot(labels, 4).float())
    mix = Mixing().draw(torch.Size((3, 3, 2, 2)), torch.Generator().manual_seed(1))
    shares = label_shares(plain._replace(mix=mix), 4)
    for b in range(3):
        want = torch.zeros(4)
        for k in range(2):
            want[labels[mix.partners[b, k]]] += mix.shares[b, k]
        assert_close(shares[b], want)
