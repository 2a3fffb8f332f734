import math

import pytest
import torch
from torch.testing import assert_close

from selfdistill.methods import max_entropy
from tests.helpers.step_contexts import only, step_context


def value(method, logits, labels):
    step = step_context(logits, labels)
    return sum(method.weights[name] * term.loss(step) for name, term in method.all_terms.items())


def test_the_mean_over_classes_is_the_published_loss(reference):
    want = reference("max_entropy")
    logits = want["logits"].requires_grad_()
    method = max_entropy(weight=want["weight"].item(), mean="all")
    loss = value(method, logits, want["targets"])
    loss.backward()
    alone = only(method, "confidence").loss(step_context(logits, want["targets"]))
    assert_close(alone.detach(), want["mean_plogp"], rtol=1e-9, atol=0)
    assert_close(loss.detach(), want["loss"], rtol=1e-9, atol=0)
    assert_close(logits.grad, want["grad_logits"], rtol=1e-9, atol=1e-12)


def test_the_papers_sum_is_as_many_times_larger_as_there_are_classes(reference):
    want = reference("max_entropy")
    step = step_context(want["logits"], want["targets"])
    sums, means = (only(max_entropy(mean=mean), "confidence").loss(step) for mean in ("rows", "all"))
    assert_close(sums, want["logits"].shape[1] * means, rtol=1e-12, atol=0)


def test_the_penalty_is_minus_the_entropy():
    logits = torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64)  # p is 1/4 and 3/4
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    got = only(max_entropy(), "confidence").loss(step_context(logits, torch.tensor([0])))
    assert_close(got.item(), -entropy, rtol=1e-12, atol=0)


@pytest.mark.parametrize("size", [0.0, 1e4])
def test_certain_and_even_rows_stay_finite(size):
    logits = (torch.eye(3) * size).requires_grad_()
    loss = only(max_entropy(), "confidence").loss(step_context(logits, torch.arange(3)))
    loss.backward()
    assert loss.item() == pytest.approx(0.0 if size else -math.log(3))
    assert logits.grad.abs().max() < 1e-6  # nothing to gain at either end
