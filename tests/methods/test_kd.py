import pytest
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.maths import kl
from selfdistill.methods import ce, kd, label_smoothing
from tests.showing import only, seen


def test_kd_is_the_published_loss(reference):
    want = reference("kd")
    logits = want["logits"].requires_grad_()
    method = kd(alpha=want["kd_weight"].item(), temperature=want["T"].item())
    step = seen(logits, want["targets"], views={"teacher": want["teacher_logits"]})

    alone = only(method, "teacher").loss(step)
    task = only(method, "task").loss(step)
    total = method.weights["task"] * task + method.weights["teacher"] * alone
    total.backward()

    assert_close(alone.detach(), want["loss_kd"], rtol=1e-9, atol=0)
    assert_close(total.detach(), want["loss_total"], rtol=1e-9, atol=0)
    assert_close(logits.grad, want["grad_logits_of_loss_total"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["kd", "kd_T4"])
def test_kl_is_both_code_bases(reference, name):
    want = reference(name)
    logits = want["logits"].requires_grad_()
    loss = kl(logits, want["teacher_logits"].requires_grad_(), 4.0)
    loss.backward()
    assert_close(loss.detach(), want["loss_kd" if name == "kd" else "loss"], rtol=1e-9, atol=0)
    grad = want["grad_logits_of_loss_kd" if name == "kd" else "grad_logits"]
    assert_close(logits.grad, grad, rtol=1e-9, atol=1e-12)
    assert want["teacher_logits"].grad is None


def test_kl_wants_equal_rows(reference):
    logits = reference("kd")["logits"]
    with pytest.raises(UserError, match=r"student gave \(12, 15\) and the teacher \(5, 15\).*drop_last=True"):
        kl(logits, logits[:5])


def test_label_smoothing_is_the_published_loss(reference):
    want = reference("label_smoothing")
    logits = want["logits"].requires_grad_()
    loss = only(label_smoothing(want["epsilon"].item()), "task").loss(seen(logits, want["targets"]))
    loss.backward()
    assert_close(loss.detach(), want["loss"], rtol=1e-9, atol=0)
    assert_close(logits.grad, want["grad_logits"], rtol=1e-9, atol=1e-12)


def test_ce_is_cross_entropy(reference):
    want = reference("drg")
    assert_close(only(ce(), "task").loss(seen(want["logits"], want["targets"])), want["ce_main"], rtol=1e-9, atol=0)
    assert_close(F.cross_entropy(want["aux_logits"], want["targets"]), want["ce_aux"], rtol=1e-9, atol=0)
