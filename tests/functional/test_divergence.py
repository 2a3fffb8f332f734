import pytest
import torch
from torch.testing import assert_close

from selfdistill.functional import (
    binary_logits,
    dist_loss,
    dkd_loss,
    kl_divergence,
    logit_standardization_kd,
    masked_kl,
    mutual_kl,
    nkd_loss,
    soft_cross_entropy,
)

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def draw(rows=5, classes=4, dtype=torch.float64):
    draws = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(rows, classes, generator=draws, dtype=dtype) for _ in range(2))
    return student, teacher, torch.randint(0, classes, (rows,), generator=draws)


EACH = {
    "standardized": lambda s, t, y: logit_standardization_kd(s, t, 2.0),
    "decoupled": lambda s, t, y: dkd_loss(s, t, y, 4.0, 1.0, 8.0),
    "correlated": lambda s, t, y: dist_loss(s, t, 4.0),
    "normalized": lambda s, t, y: nkd_loss(s, t, y, 3.0),
}


@pytest.fixture(params=EACH)
def divergence(request):
    return EACH[request.param]


def test_the_teacher_gets_no_gradient(divergence):
    student, teacher, labels = draw()
    student.requires_grad_(), teacher.requires_grad_()
    divergence(student, teacher, labels).backward()
    assert student.grad.abs().max() > 1e-3
    assert teacher.grad is None


def test_a_student_like_its_teacher_has_no_gradient():
    student, _, labels = draw()
    for name, far in {**EACH, "normalized": lambda s, t, y: nkd_loss(s, t, y, 3.0, true=0.0)}.items():
        logits = student.clone().requires_grad_()
        far(logits, student, labels).backward()
        assert logits.grad.abs().max() < 1e-6, name  # correlations are never quite 1


def test_the_teachers_word_on_the_true_class_weighs_the_labels():
    student, teacher, labels = draw()
    p, q = (each.softmax(dim=1).gather(1, labels[:, None])[:, 0] for each in (student, teacher))
    assert_close(nkd_loss(student, teacher, labels, others=0.0), -(q * p.log()).mean())


def test_gradients_are_those_of_differences(divergence):
    student, teacher, labels = draw()
    assert torch.autograd.gradcheck(lambda s: divergence(s, teacher, labels), student.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fill", [0.0, 1e-30, 100.0, 1e6])
def test_even_sure_and_equal_rows_stay_finite(divergence, dtype, fill):
    student, teacher, labels = draw(dtype=dtype)
    student[0], teacher[1] = 0.0, 0.0
    student[2], student[3, 0], teacher[3, 1] = student[4], fill, fill
    student.requires_grad_()
    loss = divergence(student, teacher, labels)
    loss.backward()
    assert loss.isfinite()
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 1e3


def test_all_rows_even():
    for each in EACH.values():
        student = torch.zeros(3, 4, requires_grad=True)
        each(student, torch.zeros(3, 4), torch.tensor([0, 1, 2])).backward()
        assert student.grad.abs().max() < 1e3


def test_decoupled_parts_make_up_the_whole():
    student, teacher, labels = draw()
    for temperature in (1.0, 4.0):
        true = (teacher / temperature).softmax(dim=1).gather(1, labels[:, None])[:, 0]
        parts = [
            dkd_loss(student[b : b + 1], teacher[b : b + 1], labels[b : b + 1], temperature, 1.0, 1 - true[b].item())
            for b in range(len(labels))
        ]
        assert_close(torch.stack(parts).mean(), kl_divergence(student, teacher, temperature), **EXACT)


def test_the_rest_as_one_class():
    rows, _, labels = draw()
    got = (binary_logits(rows, labels, 4.0) / 4.0).softmax(dim=1)
    true = (rows / 4.0).softmax(dim=1).gather(1, labels[:, None])[:, 0]
    assert_close(got, torch.stack([true, 1 - true], dim=1))


def test_a_mean_over_kept_rows_ignores_the_others():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 5, 3)
    keep = torch.tensor([True, False, True, True, False])
    p, q = ((each[keep] / 2).softmax(1) for each in (teacher, student))
    assert_close(masked_kl(keep, student, teacher, 2.0), 4 * (p * (p / q).log()).sum(1).mean())
    assert masked_kl(torch.zeros(5, dtype=torch.bool), student, teacher, 2.0).item() == 0.0


def test_mutual_is_the_plain_loop():
    students, teachers = (list(torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(k))) for k in (0, 1))
    want = sum(kl_divergence(students[k], teachers[j], 2.0) / 2 for k in range(3) for j in range(3) if j != k)
    assert_close(mutual_kl(students, teachers, 2.0), want)


def test_soft_cross_entropy_is_kl_and_the_teachers_entropy():
    student, teacher, _ = draw()
    teacher.requires_grad_()
    q = (teacher.detach() / 3.0).softmax(dim=1)
    entropy = -(q * q.log()).sum(dim=1).mean()
    loss = soft_cross_entropy(student.requires_grad_(), teacher, 3.0)
    assert_close(loss, kl_divergence(student, teacher, 3.0) / 9 + entropy)
    loss.backward()
    assert teacher.grad is None
