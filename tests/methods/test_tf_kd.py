import pytest
import torch
from torch.testing import assert_close

from selfdistill.data.mixing import Mixing
from selfdistill.method.networks import Teacher
from selfdistill.methods import kd, tf_kd
from tests.helpers.step_contexts import only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def value(method, step):
    return sum(method.weights[name] * term.loss(step) for name, term in method.all_terms.items())


def options(want):
    return {key: want[key].item() for key in ("alpha", "temperature", "multiplier")}


@pytest.mark.parametrize("kind", ["self", "reg"])
def test_the_mean_over_classes_is_the_published_loss(reference, kind):
    want = reference(f"tfkd_{kind}_resnet18")
    logits = want["logits"].requires_grad_()
    extra = {"correct": want["correct_prob"].item()} if kind == "reg" else {}
    method = tf_kd(kind=kind, mean="all", **options(want), **extra)
    views = {"teacher": want["teacher_logits"]} if kind == "self" else {}
    loss = value(method, step_context(logits, want["targets"], views=views))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)


@pytest.mark.parametrize("kind", ["self", "reg"])
def test_the_mean_over_rows_is_as_many_times_larger_as_there_are_classes(reference, kind):
    want = reference("tfkd_self_resnet18")
    step = step_context(want["logits"], want["targets"], views={"teacher": want["teacher_logits"]})
    rows, everything = (only(tf_kd(kind=kind, mean=mean), "free").loss(step) for mean in ("rows", "all"))
    assert_close(rows, want["logits"].shape[1] * everything, **EXACT)


def test_a_former_self_is_distilled_as_any_teacher(reference):
    want = reference("tfkd_self_resnet18")
    step = step_context(want["logits"], want["targets"], views={"teacher": want["teacher_logits"]})
    assert_close(value(tf_kd(), step), value(kd(alpha=0.95, temperature=6.0), step), **EXACT)
    assert tf_kd().networks == {"teacher": Teacher(None, taught_by="ce()")}


def test_no_network_is_asked_of_a_virtual_teacher():
    method = tf_kd(kind="reg")
    assert not method.networks
    assert not only(method, "free").views


@pytest.mark.parametrize("temperature", [0.1, 1.0, 20.0])
def test_a_student_that_says_what_the_virtual_teacher_says_has_nothing_to_learn(temperature):
    labels = torch.tensor([1, 0])
    told = torch.tensor([[0.02, 0.96, 0.02], [0.96, 0.02, 0.02]], dtype=torch.float64) / temperature
    term = only(tf_kd(kind="reg", correct=0.96, temperature=temperature), "free")
    logits = told.clone().requires_grad_()
    loss = term.loss(step_context(logits, labels))
    loss.backward()
    assert_close(loss.item(), 0.0, rtol=0, atol=1e-12)
    assert_close(logits.grad, torch.zeros_like(told), rtol=0, atol=1e-12)
    assert term.loss(step_context(told.flip(0), labels)) > 1e-6


def test_of_a_mixed_label_the_virtual_teacher_is_mixed():
    labels = torch.tensor([0, 1, 2])
    mix = Mixing().draw(torch.Size((3, 3, 2, 2)), torch.Generator().manual_seed(0))
    wanted = torch.zeros(3, 3, dtype=torch.float64)
    for b in range(3):
        for k in range(2):
            for each in range(3):
                right = labels[mix.partners[b, k]] == each
                wanted[b, each] += mix.shares[b, k] * (0.9 if right else 0.05)
    term = only(tf_kd(kind="reg", correct=0.9, temperature=1.0), "free")
    assert_close(term.loss(step_context(wanted, labels, mix=mix)).item(), 0.0, rtol=0, atol=1e-7)
