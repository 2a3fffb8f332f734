import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import kl_divergence, transformed_teacher_kl
from selfdistill.methods import ce, kd, label_smoothing, mixup
from tests.helpers.step_contexts import clock, only, step_context


def test_kd_is_the_published_loss(reference):
    want = reference("kd")
    logits = want["logits"].requires_grad_()
    method = kd(alpha=want["kd_weight"].item(), temperature=want["T"].item())
    step = step_context(logits, want["targets"], views={"teacher": want["teacher_logits"]})

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
    loss = kl_divergence(logits, want["teacher_logits"].requires_grad_(), 4.0)
    loss.backward()
    assert_close(loss.detach(), want["loss_kd" if name == "kd" else "loss"], rtol=1e-9, atol=0)
    grad = want["grad_logits_of_loss_kd" if name == "kd" else "grad_logits"]
    assert_close(logits.grad, grad, rtol=1e-9, atol=1e-12)
    assert want["teacher_logits"].grad is None


def test_kl_wants_equal_rows(reference):
    logits = reference("kd")["logits"]
    with pytest.raises(UserError, match=r"student gave \(12, 15\) and the teacher \(5, 15\).*drop_last=True"):
        kl_divergence(logits, logits[:5])


def test_label_smoothing_is_the_published_loss(reference):
    want = reference("label_smoothing")
    logits = want["logits"].requires_grad_()
    loss = only(label_smoothing(want["epsilon"].item()), "task").loss(step_context(logits, want["targets"]))
    loss.backward()
    assert_close(loss.detach(), want["loss"], rtol=1e-9, atol=0)
    assert_close(logits.grad, want["grad_logits"], rtol=1e-9, atol=1e-12)


def test_ce_is_cross_entropy(reference):
    want = reference("drg")
    assert_close(
        only(ce(), "task").loss(step_context(want["logits"], want["targets"])), want["ce_main"], rtol=1e-9, atol=0
    )
    assert_close(F.cross_entropy(want["aux_logits"], want["targets"]), want["ce_aux"], rtol=1e-9, atol=0)


DIVERGENCES = {
    "standardized": ("logit_stand_kd_T2", {"temperature": "base_temperature"}),
    "dkd": ("dkd_cifar", {"temperature": "temperature", "beta": "alpha", "gamma": "beta"}),
    "dist": ("dist_tau1", {"temperature": "tau", "beta": "beta", "gamma": "gamma"}),
    "nkd": ("nkd_cifar", {"temperature": "temperature", "gamma": "gamma"}),
}


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_each_divergence_is_the_published_one(reference, divergence):
    name, settings = DIVERGENCES[divergence]
    want = reference(name)
    logits = want["logits"].requires_grad_()
    labels = want.get("targets", torch.zeros(len(logits), dtype=torch.long))
    method = kd(divergence=divergence, **{ours: want[theirs].item() for ours, theirs in settings.items()})
    loss = only(method, "teacher").loss(step_context(logits, labels, views={"teacher": want["teacher_logits"]}))
    loss.backward()
    assert_close(loss.detach(), want["loss"], rtol=1e-8, atol=0)
    assert_close(logits.grad, want["grad_logits"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("part", ["tckd", "nckd", "inter", "intra"])
def test_beta_and_gamma_weigh_the_two_parts(reference, part):
    decoupled = part in ("tckd", "nckd")
    want = reference("dkd_cifar" if decoupled else "dist_tau1")
    weights = {"beta": 1.0, "gamma": 0.0} if part in ("tckd", "inter") else {"beta": 0.0, "gamma": 1.0}
    method = kd(divergence="dkd" if decoupled else "dist", temperature=4.0 if decoupled else 1.0, **weights)
    labels = want.get("targets", torch.zeros(len(want["logits"]), dtype=torch.long))
    loss = only(method, "teacher").loss(step_context(want["logits"], labels, views={"teacher": want["teacher_logits"]}))
    assert_close(loss, want[f"loss_{part}" if decoupled else f"loss_{part}_unit"], rtol=1e-8, atol=0)


def test_a_divergence_warms_up_with_the_epochs(reference):
    want = reference("dkd_cifar")
    term = only(kd(divergence="dkd", warmup=4), "teacher")
    at = lambda progress: step_context(  # noqa: E731
        want["logits"],
        want["targets"],
        views={"teacher": want["teacher_logits"]},
        clock=clock(epochs=20, progress=progress),
    )
    full = only(kd(divergence="dkd"), "teacher").loss(at(0.0))
    assert term.uses_progress
    assert not only(kd(divergence="dkd"), "teacher").uses_progress
    assert term.loss(at(0.0)).item() == 0.0
    assert_close(term.loss(at(0.1)), full / 2)
    assert_close(term.loss(at(0.9)), full)


def test_a_learned_temperature_is_the_published_one(reference, float64):
    want = reference("ctkd")
    logits = want["logits"].requires_grad_()
    method = kd(alpha=want["alpha"].item(), curriculum=True)
    term = only(method, "teacher")
    term.learned.logit = torch.nn.Parameter(want["temperature_logit"][0].clone())
    at = clock(want["epoch"].item() - 1)._replace(epoch=torch.tensor(want["epoch"].item() - 1.0))
    step = step_context(logits, want["targets"], views={"teacher": want["teacher_logits"]}, clock=at)
    total = method.weights["task"] * step.cross_entropy(logits) + method.weights["teacher"] * term.loss(step)
    total.backward()
    assert_close(term.learned(at.epoch).detach(), want["T"][0], rtol=1e-9, atol=0)
    assert_close(total.detach(), want["loss"], rtol=1e-9, atol=0)
    assert_close(logits.grad, want["grad_logits"], rtol=1e-9, atol=1e-12)
    assert_close(term.learned.logit.grad, want["grad_temperature_logit"][0], rtol=1e-9, atol=0)
    assert term.uses_progress


def test_logits_see_a_learned_temperature_as_a_fixed_one(float64):
    logits, teacher, labels, grads = torch.randn(6, 4), torch.randn(6, 4), torch.arange(6) % 4, []
    learned = only(kd(curriculum=True), "teacher")
    temperature = learned.learned(torch.tensor(0.0)).item()
    for term in (learned, only(kd(temperature=temperature), "teacher")):
        own = logits.clone().requires_grad_()
        term.loss(step_context(own, labels, views={"teacher": teacher})).backward()
        grads.append(own.grad)
    assert_close(*grads)


def test_another_divergence_learns_no_temperature():
    with pytest.raises(UserError, match=r"kd\(curriculum=True\) learns the temperature of 'kl', not of 'dkd'; leave"):
        kd(curriculum=True, divergence="dkd")


@pytest.mark.parametrize(("divergence", "grad"), [("ttm", "grad_ttm_logits"), ("wttm", "grad_logits")])
def test_a_transformed_teacher_is_the_published_one(reference, divergence, grad):
    want = reference("wttm")
    logits, labels = want["logits"].requires_grad_(), torch.zeros(len(want["logits"]), dtype=torch.long)
    term = only(kd(divergence=divergence, temperature=1 / want["gamma"].item()), "teacher")
    loss = term.loss(step_context(logits, labels, views={"teacher": want["teacher_logits"]}))
    loss.backward()
    assert_close(loss.detach(), want["ttm" if divergence == "ttm" else "loss"], rtol=1e-9, atol=0)
    assert_close(logits.grad, want[grad], rtol=1e-9, atol=1e-12)


def test_weights_of_a_transformed_teacher_span_certain_to_even(float64):
    student = torch.randn(1, 5)
    weighted, plain = (
        lambda teacher, t, w=w: transformed_teacher_kl(student, teacher, t, weighted=w) for w in (True, False)
    )
    certain, even = torch.tensor([[90.0, 0.0, 0.0, 0.0, 0.0]]), torch.zeros(1, 5)
    assert_close(weighted(certain, 2.0), plain(certain, 2.0), rtol=1e-9, atol=0)
    assert_close(weighted(even, 4.0), 5**0.75 * plain(even, 4.0))
    assert_close(weighted(certain, 1.0), kl_divergence(student, certain))


def test_the_labels_may_count_in_full():
    assert kd(alpha=0.75).weights == {"task": 0.25, "teacher": 0.75}
    assert kd(alpha=0.75, labels="whole").weights == {"task": 1.0, "teacher": 0.75}


@pytest.mark.parametrize("divergence", ["dkd", "nkd"])
def test_a_true_class_is_needed(divergence):
    with pytest.raises(UserError, match="mixes the images"):
        kd(divergence=divergence) + mixup()
    assert (kd(divergence="dist") + mixup()).mixing
