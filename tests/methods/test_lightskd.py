import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.functional import kl_divergence
from selfdistill.methods import drg, dsr, lightskd
from tests.helpers.step_contexts import only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def guided(term, logits, shallow, labels):
    """The term's loss with its head replaced by given logits."""
    term.head = lambda features, pool: features
    return total(term.loss(step_context(logits, labels, features={term.taps[0]: shallow})))


def test_drg_is_the_published_loss(reference):
    want = reference("drg")
    logits, shallow = (want[key].requires_grad_() for key in ("logits", "aux_logits"))
    term = only(drg(alpha=want["alpha"].item(), temperature=want["T"].item()), "guidance")

    loss = F.cross_entropy(logits, want["targets"]) + guided(term, logits, shallow, want["targets"])
    loss.backward()

    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    assert_close(shallow.grad, want["grad_aux_logits"], **EXACT)


def test_drg_distillation_alone(reference):
    want = reference("drg")
    logits = want["logits"].requires_grad_()
    loss = want["alpha"] * kl_divergence(logits, want["aux_logits"], 4.0)
    loss.backward()
    assert_close(loss.detach(), want["drg"], **EXACT)
    assert_close(logits.grad, want["grad_drg_logits"], **EXACT)


def test_lightskd_over_five_steps_is_the_published_script(reference):
    want = reference("dsr")
    method = lightskd(alpha=want["alpha"].item(), beta=want["beta"].item(), temperature=want["T"].item())
    guide, shape = only(method, "guidance"), only(method, "shape")
    fresh = (torch.zeros_like(want["logits"][0]), torch.zeros((), dtype=torch.float64))
    memory = fresh
    for step, first in enumerate(want["batch_idx"] == 0):
        memory = fresh if first else memory  # a new epoch starts again
        logits = want["logits"][step].clone().requires_grad_()
        shallow = want["aux_logits"][step].clone().requires_grad_()
        labels = want["targets"][step]
        at = step_context(logits, labels, memory=memory)
        regular, memory = shape(at)
        loss = F.cross_entropy(logits, labels) + guided(guide, logits, shallow, labels) + shape.weight * regular
        loss.backward()

        assert_close(regular.detach() * shape.weight, want["dsr"][step], **EXACT)
        assert_close(loss.detach(), want["loss"][step], **EXACT)
        assert_close(logits.grad, want["grad_logits"][step], **EXACT)
        assert_close(shallow.grad, want["grad_aux_logits"][step], **EXACT)
        assert_close(memory[0], want["state_after"][step], **EXACT)


def test_dsr_gradient_alone(reference):
    want = reference("dsr")
    shape = only(dsr(), "shape")
    logits = want["logits"][1].clone().requires_grad_()
    state = (want["state_after"][0], torch.ones((), dtype=torch.float64))
    shape.loss(step_context(logits, want["targets"][1], memory=state)).backward()
    assert_close(logits.grad, want["grad_dsr_logits"][1], **EXACT)


def test_dsr_ignores_which_class_is_which():
    torch.manual_seed(0)
    logits, last = torch.randn(6, 10), torch.randn(6, 10).sort(dim=1).values
    shape, labels = only(dsr(), "shape"), torch.arange(6)
    memory = (last, torch.ones(()))
    shuffled = logits[:, torch.randperm(10)]
    one, other = (shape.loss(step_context(each, labels, memory=memory)) for each in (logits, shuffled))
    assert_close(one, other)


def test_lightskd_is_drg_and_dsr():
    assert lightskd().resolved == (drg() + dsr()).resolved
    assert lightskd().text == "lightskd()"
