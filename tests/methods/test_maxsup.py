import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.methods import maxsup
from tests.helpers.step_contexts import clock, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def penalty(logits, labels=None, at=clock(), **options):  # noqa: B008
    labels = torch.zeros(len(logits), dtype=torch.long) if labels is None else labels
    return only(maxsup(**options), "suppression").loss(step_context(logits, labels, clock=at))


def test_it_is_the_published_loss(reference):
    want = reference("maxsup")
    logits = want["logits"].requires_grad_()
    at = clock(want["epoch"].item(), want["epochs"].item())
    at = at._replace(epoch=at.epoch.double(), epochs=at.epochs.double())
    options = {key: want[key].item() for key in ("begin", "end")}
    loss = F.cross_entropy(logits, want["targets"]) + penalty(logits, at=at, **options)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)


@pytest.fixture
def logits(float64):
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(0))


def test_a_shift_changes_nothing_and_even_rows_have_none(logits):
    assert_close(penalty(logits + 3.0), penalty(logits))
    assert penalty(torch.full((4, 3), 2.0)) == 0


def test_on_rows_that_are_right_it_is_label_smoothing(logits):
    labels = logits.argmax(dim=1)
    smoothed = F.cross_entropy(logits, labels, label_smoothing=0.1) - F.cross_entropy(logits, labels)
    assert_close(penalty(logits, labels, begin=0.1, end=0.1), smoothed)


def test_the_weight_moves_from_begin_to_end(logits):
    whole = penalty(logits, begin=1.0, end=1.0)
    for epoch, weight in ((0, 0.2), (5, 0.4), (10, 0.6)):
        assert_close(penalty(logits, at=clock(epoch, 10), begin=0.2, end=0.6), weight * whole)


def test_time_is_read_only_where_the_weight_moves(logits):
    assert only(maxsup(), "suppression").uses_progress
    assert not only(maxsup(end=0.1), "suppression").uses_progress
    assert penalty(logits, begin=0.0, end=0.0) == 0
