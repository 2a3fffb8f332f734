import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import class_cosine_kd, correlation_gaps, cosine_gap, row_temperatures
from selfdistill.methods import cswt
from tests.helpers.step_contexts import only, step_context, total

EXACT = {"rtol": 1e-6, "atol": 1e-9}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def parts(weak, strong, teacher_weak, teacher_strong, labels, **options):
    views = {"twin": strong, "teacher": teacher_weak, "teacher_twin": teacher_strong}
    return only(cswt(**options), "cosines").loss(step_context(weak, labels, views=views))


def test_it_is_the_published_loss(reference):
    want = reference("cswt")
    weak, strong = (want[f"logits_{view}"].requires_grad_() for view in ("weak", "strong"))
    names = {"weight": "kd_loss_weight", "temperature": "temperature", "low": "low_temp", "high": "high_temp"}
    options = {name: want[stored].item() for name, stored in names.items()}
    value = parts(weak, strong, want["teacher_weak"], want["teacher_strong"], want["targets"], **options)
    loss = cswt(**options).weights["task"] * F.cross_entropy(weak, want["targets"]) + total(value)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(value["mimic"].detach(), want["loss_kd"] + want["loss_cc"] + want["loss_bc"], **EXACT)
    for logits, grad in ((weak, want["grad_logits_weak"]), (strong, want["grad_logits_strong"])):
        # of the largest: the published code adds 1e-8 to the product of norms, which shrinks rare classes' cosines
        assert_close(logits.grad, grad, rtol=0, atol=1e-6 * grad.abs().max().item())


def test_a_student_like_its_teacher_has_nothing_to_learn_from_it():
    weak, strong, labels = torch.randn(8, 5), torch.randn(8, 5), torch.arange(8) % 5
    value = parts(weak, strong, weak, strong, labels)
    assert value["mimic"].abs() < 1e-12
    assert_close(value["learn"], F.cross_entropy(strong, labels))


def test_the_weight_is_of_the_distillation_alone():
    weak, strong, other, labels = *torch.randn(3, 8, 5), torch.arange(8) % 5
    once, twice = (parts(weak, strong, other, other, labels, weight=weight) for weight in (1.0, 2.0))
    assert_close(twice["mimic"], 2 * once["mimic"])
    assert_close(twice["learn"], once["learn"])


def test_the_second_view_may_be_strong():
    assert list(cswt().needs) == ["twin"]
    assert list(cswt(view="strong").needs) == ["strong"]
    assert [view.source for view in only(cswt(view="strong"), "cosines").views] == ["strong", None, "strong"]


def test_gaps_are_of_classes_of_rows_and_of_columns():
    student, teacher, heat = torch.randn(6, 4), torch.randn(6, 4), torch.full((6,), 3.0)
    p, q = (student / 3).softmax(dim=1), (teacher / 3).softmax(dim=1)
    cosines = [torch.dot(p[:, k], q[:, k]) / p[:, k].norm() / q[:, k].norm() for k in range(4)]
    assert_close(class_cosine_kd(student, teacher, heat), 2 * 9 * (1 - sum(cosines) / 4))
    classes, rows = correlation_gaps(student, teacher, heat)
    assert_close(classes, 1 - F.cosine_similarity(p.T @ p, q.T @ q, dim=1).mean())
    assert_close(rows, 1 - F.cosine_similarity(p @ p.T, q @ q.T, dim=1).mean())


def test_rare_classes_count_as_much_as_others():
    columns = torch.rand(8, 3)
    assert_close(cosine_gap(columns.T, 1e-6 * columns.T), torch.tensor(0.0))


def test_temperatures_fall_with_agreement():
    student, teacher = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4)
    heats = row_temperatures(student, teacher, 2.0, 6.0)
    cosines = F.cosine_similarity(student.softmax(dim=1), teacher.softmax(dim=1), dim=1)
    assert not heats.requires_grad
    assert (heats.min(), heats.max()) == (2, 6)
    assert torch.equal(heats.argsort(), cosines.argsort(descending=True))
    equal = student.detach()[:1].expand(6, 4), teacher[:1].expand(6, 4)
    assert torch.equal(row_temperatures(*equal, 2.0, 6.0), torch.full((6,), 2.0))


def test_temperatures_out_of_order_are_refused():
    with pytest.raises(UserError, match=r"cswt\(low=6, high=2\): low is above high; exchange them"):
        cswt(low=6.0, high=2.0)
