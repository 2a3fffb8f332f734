import pytest
import torch
from torch.testing import assert_close

from selfdistill.methods import sla_sd
from selfdistill.terms.transforms import TRANSFORMS
from tests.contract.steps import Training, distil, images
from tests.helpers.step_contexts import only, total
from tests.methods.test_sla import shown

EXACT = {"rtol": 1e-9, "atol": 1e-12}
PUBLISHED = [("sla_sd_rotation_T1", "rotation"), ("sla_sd_color_perm3_T1", "cyclic color")]


@pytest.mark.parametrize(("file", "transform"), PUBLISHED)
def test_it_is_the_published_loss(reference, file, transform):
    want = reference(file)
    rows, single = (want[key].requires_grad_() for key in ("joint_logits", "single_logits_all"))
    made = sla_sd(transform=transform, temperature=want["temperature"].item())
    term = only(made, "aggregated")
    assert term.count == want["n_transforms"]
    step = shown(term, rows, want["targets"], logits=single[:: term.count])
    loss = only(made, "task").loss(step) + made.weights["aggregated"] * total(term.loss(step))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(rows.grad, want["grad_joint_logits"], **EXACT)
    assert_close(single.grad, want["grad_single_logits_all"], **EXACT)
    aggregated = term.aggregated([rows.detach()[j :: term.count] for j in range(term.count)])
    assert_close(aggregated, want["aggregated_logits"], **EXACT)


@pytest.mark.parametrize(("file", "transform"), PUBLISHED)
def test_images_are_transformed_as_published(reference, file, transform):
    want = reference(file)
    made = torch.stack([want["images"], *(make(want["images"]) for make in TRANSFORMS[transform])], dim=1)
    assert_close(made.flatten(0, 1), want["transformed_images"], **EXACT)


def test_the_joint_head_gets_no_gradient_from_what_it_teaches():
    torch.manual_seed(0)
    term = only(sla_sd(), "aggregated")
    rows, labels = torch.randn(12, 20).requires_grad_(), torch.arange(3)
    mimic = term.loss(shown(term, rows, labels, logits=torch.randn(3, 5).requires_grad_()))["mimic"]
    assert torch.autograd.grad(mimic, rows, allow_unused=True)[0] is None
    assert mimic > 0


def test_the_student_is_deployed_as_it_is():
    distiller = Training(distil("sla_sd()")).steps(1).distiller
    assert distiller.deployed() is distiller.student
    before = distiller.student.eval()(images(1))
    assert torch.equal(distiller.close()(images(1)), before)
