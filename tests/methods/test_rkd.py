import pytest
import torch
from torch.testing import assert_close

from selfdistill.methods import rkd
from tests.helpers.random_features import embedded, tokens
from tests.helpers.step_contexts import only

EXACT = {"rtol": 1e-9, "atol": 1e-14}


@pytest.mark.parametrize(
    ("weights", "value", "grad"),
    [
        ((25.0, 50.0), "loss_kd", "grad_embed_s"),
        ((1.0, 0.0), "loss_distance", "grad_embed_s_of_distance"),
        ((0.0, 1.0), "loss_angle", "grad_embed_s_of_angle"),
    ],
)
def test_it_is_the_published_loss(reference, weights, value, grad):
    want = reference("rkd")
    student = want["embed_s"].requires_grad_()
    found = embedded(only(rkd(distance=weights[0], angle=weights[1]), "relations"), student, want["embed_t"])
    found.backward()
    assert_close(found.detach(), want[value], **EXACT)
    assert_close(student.grad, want[grad], **EXACT)


def test_the_defaults_are_the_published_weights(reference):
    want, term = reference("rkd"), only(rkd(), "relations")
    assert (term.distance, term.angle, term.weight) == (want["w_d"], want["w_a"], 1.0)


def test_shift_turn_and_scale_of_a_side_do_not_matter():
    student, teacher = tokens(0, 6, 4), tokens(1, 6, 5)
    turn = torch.linalg.qr(tokens(2, 4, 4)).Q
    term = only(rkd(), "relations")
    moved = 30 * student @ turn + 7
    assert_close(embedded(term, moved, teacher), embedded(term, student, teacher))
    assert embedded(term, moved, student).abs() < 1e-20
    assert embedded(term, student, teacher) > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("how", ["same", "nearly", "zero", "all", "all zero"])
def test_degenerate_rows_keep_a_small_gradient(dtype, how):
    student, teacher = tokens(0, 6, 4).to(dtype), tokens(1, 6, 5).to(dtype)
    match how:
        case "same":
            student[1] = student[0]
        case "nearly":
            student[1] = student[0] + 1e-7
        case "zero":
            student[:2] = 0
        case "all":
            student[:] = student[:1].clone()
        case "all zero":
            student[:] = 0
    found = embedded(only(rkd(), "relations"), student.requires_grad_(), teacher)
    found.backward()
    assert found.isfinite()
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 100  # the published code gives 1e9 and more here


def test_gradient_check():
    teacher = tokens(1, 4, 3)
    term = only(rkd(), "relations")
    assert torch.autograd.gradcheck(
        lambda rows: embedded(term, rows, teacher), tokens(0, 4, 3).requires_grad_(), atol=1e-4
    )
