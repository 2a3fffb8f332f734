import math

import pytest
import torch
from torch.testing import assert_close

from selfdistill.methods import ckd
from tests.helpers.step_contexts import only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def contrast(student, teacher, **options):
    step = step_context(student, torch.zeros(len(student), dtype=torch.long), views={"teacher": teacher})
    return only(ckd(**options), "samples").loss(step)


def test_it_is_the_published_loss(reference):
    want = reference("ckd")
    logits, method = want["logits"].requires_grad_(), ckd(weight=want["weight"].item(), temperature=want["tau"].item())
    found = contrast(logits, want["teacher_logits"])
    loss = torch.nn.functional.cross_entropy(logits, want["targets"]) + method.weights["samples"] * found
    loss.backward()
    assert_close(found.detach(), want["contrast"], **EXACT)
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)


def test_scales_and_the_order_of_the_batch_change_nothing():
    student, teacher, order = torch.randn(6, 4), torch.randn(6, 4), torch.randperm(6)
    for both in (False, True):
        whole = contrast(student, teacher, both=both)
        assert_close(contrast(student * torch.rand(6, 1), teacher * torch.rand(6, 1), both=both), whole)
        assert_close(contrast(student[order], teacher[order], both=both), whole)


def test_one_row_has_no_contrast_and_agreement_is_not_zero():
    rows = torch.randn(1, 4)
    assert contrast(rows, torch.randn(1, 4)) == 0
    assert contrast(torch.eye(4), torch.eye(4)) >= math.log(1 + 3 * math.exp(-2))  # its floor, for opposite rows


def test_both_directions_are_symmetric():
    student, teacher = torch.randn(6, 4), torch.randn(6, 4)
    assert_close(contrast(student, teacher, both=True), contrast(teacher, student, both=True))
    mean = (contrast(student, teacher) + contrast(teacher, student)) / 2
    assert_close(contrast(student, teacher, both=True), mean)
