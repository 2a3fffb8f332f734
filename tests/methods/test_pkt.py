import pytest
import torch
from torch.testing import assert_close

from selfdistill.methods import pkt
from tests.helpers.random_features import embedded, tokens
from tests.helpers.step_contexts import only


def test_it_is_the_published_loss(reference):
    want = reference("pkt")
    student = want["embed_s"].requires_grad_()
    term = only(pkt(), "neighbours")
    found = embedded(term, student, want["embed_t"])
    found.backward()
    assert_close(found.detach(), want["loss_kd"], rtol=1e-6, atol=0)  # lengths are published with 1e-7 added
    assert_close(student.grad, want["grad_embed_s"], rtol=1e-6, atol=1e-11)
    assert term.weight == want["beta"]


def test_zero_where_directions_agree_and_above_elsewhere():
    term, rows = only(pkt(), "neighbours"), tokens(0, 6, 4)
    turn = torch.linalg.qr(tokens(2, 4, 4)).Q
    assert abs(embedded(term, rows * tokens(3, 6, 1).abs(), rows @ turn)) < 1e-12
    assert embedded(term, rows, tokens(1, 6, 5)) > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fill", [0.0, 1e-30, 1e25])
def test_degenerate_rows_stay_finite(dtype, fill):
    student, teacher = tokens(0, 6, 4).to(dtype), tokens(1, 6, 5).to(dtype)
    student[0], student[2], student[3], teacher[1] = fill, student[1], -student[1], fill
    found = embedded(only(pkt(), "neighbours"), student.requires_grad_(), teacher)
    found.backward()
    assert found.isfinite()
    assert student.grad.isfinite().all()  # the published code gives NaN for a row of zeros
    assert student.grad.abs().max() < 10


def test_gradient_check():
    teacher = tokens(1, 5, 3)
    term = only(pkt(), "neighbours")
    assert torch.autograd.gradcheck(lambda rows: embedded(term, rows, teacher), tokens(0, 5, 4).requires_grad_())
