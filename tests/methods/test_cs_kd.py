import torch
from torch.testing import assert_close

from selfdistill.data.requirements import SameClassImage
from selfdistill.methods import cs_kd, parse_method
from tests.contract.steps import Training, batch, distil
from tests.helpers.step_contexts import only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def test_it_is_the_published_loss(reference):
    want = reference("cskd")
    logits, pair = (want[key].requires_grad_() for key in ("logits_anchor", "logits_pair"))
    made = cs_kd(weight=want["lamda"].item(), temperature=want["T"].item())
    term, step = only(made, "classmate"), step_context(logits, want["targets"], views={"peer": pair})
    alone, task = term.loss(step), only(made, "task").loss(step)
    total = made.weights["task"] * task + made.weights["classmate"] * alone
    total.backward()
    assert_close(task.detach(), want["ce"], **EXACT)
    assert_close(alone.detach(), want["cls_loss"], **EXACT)
    assert_close(total.detach(), want["loss"], **EXACT)
    assert_close(total.detach(), want["loss_selfkdlib"], **EXACT)
    assert_close(logits.grad, want["grad_logits_anchor"], **EXACT)
    assert pair.grad is None


def test_the_peers_pass_is_its_own_and_without_gradient():
    """Each half is normalised by its own statistics, which move twice a step, the anchors' first."""
    training = Training(distil("cs_kd()"))
    norm, seen_inputs = training.distiller.student.layer1.norm, []
    handle = norm.register_forward_pre_hook(lambda _, given: seen_inputs.append(given[0]))
    training.steps(1)
    handle.remove()
    anchor, peer = seen_inputs
    assert (anchor.requires_grad, peer.requires_grad) == (True, False)
    running = torch.zeros(8)
    for half in (anchor, peer):
        running = 0.9 * running + 0.1 * half.detach().mean(dim=(0, 2, 3))
    assert_close(norm.running_mean, running)


def test_a_partner_equal_to_the_anchor_teaches_nothing():
    training = Training(distil("cs_kd()"))
    at = batch(0, training.distiller.method)
    at = at._replace(extra={"peer": at.inputs})
    made = training.distiller(at, None, training.memories)
    assert_close(made.losses["classmate"], torch.tensor(0.0), rtol=0, atol=1e-6)


def test_whether_an_image_may_be_its_own_partner_is_asked_of_the_data():
    assert cs_kd().needs == {"peer": SameClassImage(itself=True)}
    assert cs_kd(itself=False).needs == {"peer": SameClassImage(itself=False)}
    assert parse_method("cs_kd(itself=False)").text == "cs_kd(itself=False)"
