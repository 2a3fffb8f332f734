import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.functional import at_most_median, kl_divergence, multi_level_kd
from selfdistill.methods import mlkd
from tests.helpers.networks import network
from tests.helpers.step_contexts import only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def parts(weak, strong, teacher_weak, teacher_strong, labels, **options):
    view = options.get("view", "twin")
    views = {view: strong, "teacher": teacher_weak, f"teacher_{view}": teacher_strong}
    return only(mlkd(**options), "levels").loss(step_context(weak, labels, views=views))


def test_the_code_form_is_the_published_loss(reference):
    want = reference("mlkd")
    weak, strong = (want[f"logits_{view}"].requires_grad_() for view in ("weak", "strong"))
    options = {"alpha": want["kd_loss_weight"].item(), "form": "code"}
    value = parts(weak, strong, want["teacher_weak"], want["teacher_strong"], want["targets"], **options)
    loss = mlkd(**options).weights["task"] * F.cross_entropy(weak, want["targets"]) + total(value)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(value["mimic"].detach(), want["loss_kd"] + want["loss_cc"] + want["loss_bc"], **EXACT)
    assert_close(weak.grad, want["grad_logits_weak"], **EXACT)
    assert_close(strong.grad, want["grad_logits_strong"], **EXACT)


@pytest.mark.parametrize("form", ["paper", "code"])
def test_a_student_like_its_teacher_has_nothing_to_learn_from_it(form):
    weak, strong, labels = torch.randn(8, 5), torch.randn(8, 5), torch.arange(8) % 5
    value = parts(weak, strong, weak, strong, labels, form=form)
    assert value["mimic"].abs() < 1e-12
    assert_close(value["learn"], 0.1 * F.cross_entropy(strong, labels))


def test_the_paper_weighs_uncertain_rows_and_rare_classes():
    student, teacher = torch.randn(6, 4), torch.randn(6, 4)
    rows, classes = torch.tensor([1.0, 0, 1, 0, 0, 1]), torch.tensor([0.0, 1, 1, 0])
    p, q, t = (student / 3).softmax(dim=1), (teacher / 3).softmax(dim=1), 3.0
    want = sum(t**2 * (q[i] * (q[i] / p[i]).log()).sum() for i in (0, 2, 5)) / 6
    want += sum((q[:, k] @ q - p[:, k] @ p).square().sum() for k in (1, 2)) / 4
    want += sum((q[i] @ q.T - p[i] @ p.T).square().sum() for i in (0, 2, 5)) / 6
    assert_close(multi_level_kd(student, teacher, rows, classes, t), want)


def test_the_second_view_counts_at_all_temperatures():
    weak, labels, none = torch.randn(8, 5), torch.arange(8) % 5, torch.zeros(8, 5)
    teacher = torch.randn(8, 5)
    found = parts(weak, none, weak, teacher, labels, alpha=1.0)["mimic"]
    assert_close(found, sum(kl_divergence(none, teacher, t) for t in (2.0, 3.0, 4.0, 5.0, 6.0)))


def test_the_second_view_may_be_strong():
    weak, strong, teacher, other, labels = *torch.randn(4, 8, 5), torch.arange(8) % 5
    parts_of = [parts(weak, strong, teacher, other, labels, view=view) for view in ("twin", "strong")]
    assert parts_of[0] == parts_of[1]
    assert list(mlkd().needs) == ["twin"]
    assert list(mlkd(view="strong").needs) == ["strong"]
    model, images = network(), torch.randn(8, 3, 16, 16)
    teach = sd.teach(model, "mlkd(view='strong')", images, networks={"teacher": network()})
    with pytest.raises(UserError, match="also needs `strong`: a strong augmentation of the inputs"):
        teach(images, labels)
    with pytest.warns(UserWarning, match="strong equals the inputs: the data set does not augment"):
        teach(images, labels, strong=images)
    teach.close()


def test_half_of_the_values_are_at_most_the_median():
    values = torch.randn(10)
    assert at_most_median(values).sum() == 5
    assert at_most_median(values)[values.argmin()] == 1
    assert at_most_median(torch.ones(4)).sum() == 4
