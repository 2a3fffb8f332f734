import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.data.mixing import Mix
from selfdistill.methods import sla
from selfdistill.terms import ModelOutputs
from tests.contract.steps import Training, distil, images
from tests.helpers.networks import CLASSES
from tests.helpers.step_contexts import build_context, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def shown(term, rows, labels, mix=None, logits=None):
    """A step at which joint logits are the embeddings: rows [B · M, C · M], those of an image together."""
    term.joint = nn.Identity()
    embeddings = [rows[j :: term.count] for j in range(term.count)]
    named = zip((view.name for view in term.views), embeddings[1:], strict=True)
    views = {name: ModelOutputs(each, each, {}) for name, each in named}
    if logits is None:
        logits = torch.zeros(len(labels), rows.shape[1] // term.count, dtype=rows.dtype)
    return step_context(logits, labels, embedding=embeddings[0], views=views, mix=mix)


def test_it_is_the_published_loss(reference):
    want = reference("sla_rotation")
    rows, term = want["joint_logits"].requires_grad_(), only(sla(), "task")
    assert term.count == want["n_transforms"]
    loss = term.loss(shown(term, rows, want["targets"]))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(rows.grad, want["grad_joint_logits"], **EXACT)
    assert_close(rows.detach()[:: term.count, :: term.count], want["single_inference_logits"], **EXACT)


def test_the_deployed_student_is_the_joint_head_on_untransformed_images():
    training = Training(distil("sla()")).steps(2)
    distiller, found = training.distiller, []
    handle = distiller.student.fc.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    distiller.student.eval()(images(1))
    handle.remove()
    want = distiller.terms["task"].joint(found[0])[:, ::4].detach()
    midway = distiller.deployed()
    assert_close(midway.eval()(images(1)), want)
    assert not torch.allclose(distiller.student(images(1)), want)  # only the copy was folded
    assert_close(distiller.close().eval()(images(1)), want)
    assert want.shape == (8, CLASSES)


@pytest.mark.parametrize("classifier", [nn.Linear(3, 5), nn.Linear(3, 5, bias=False), nn.Conv2d(3, 5, 1)])
def test_it_folds_into_any_linear_classifier(classifier):
    term, student = only(sla(), "task"), nn.Sequential(nn.Flatten(), classifier)
    term.build(build_context(embedding=(2, 3), logits=(2, 5)))
    term.finish(student, "1")
    rows = torch.randn(6, 3)
    given = rows[:, :, None, None] if isinstance(classifier, nn.Conv2d) else rows
    assert_close(classifier(given).flatten(1), term.joint(rows)[:, ::4])


def test_all_transformations_are_one_batch():
    training, given = Training(distil("sla()")), []
    handle = training.distiller.student.register_forward_pre_hook(lambda _, rows: given.append(rows[0]))
    training.steps(1)
    handle.remove()
    upright, *turned = given[0].split(8)
    assert len(given) == 1
    for times, each in enumerate(turned, start=1):
        assert torch.equal(each, torch.rot90(upright, times, (2, 3)))


def test_mixed_rows_have_mixed_joint_labels():
    torch.manual_seed(0)
    rows, labels = torch.randn(8, 8, dtype=torch.float64), torch.tensor([0, 1])
    mix = Mix(torch.tensor([[0.75, 0.25], [1.0, 0.0]]).double(), torch.tensor([[0, 1], [1, 0]]))
    term = only(sla(), "task")
    logs, want = rows.log_softmax(dim=1), 0.0
    for image, shares in enumerate([(0.75, 0.25), (0.0, 1.0)]):
        for j in range(4):
            want -= sum(share * logs[4 * image + j, 4 * label + j].item() for label, share in enumerate(shares)) / 8
    assert_close(term.loss(shown(term, rows, labels, mix)).item(), want)
