import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.methods import srrl
from selfdistill.terms import ModelOutputs
from tests.helpers.step_contexts import build_context, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def built(features, width, **options):
    term = only(srrl(**options), "representation")
    shapes = {"stage-1": features.shape, "logits": (len(features), 6)}
    term.build(build_context(**shapes, views={"teacher": {"embedding": (len(features), width)}}))
    return term


def loss(term, features, teacher, classify):
    labels = torch.zeros(len(features), dtype=torch.long)
    step = step_context(
        torch.zeros(len(features), 6),
        labels,
        features={"stage-1": features},
        views={"teacher": teacher},
        classifiers={"teacher": classify},
    )
    return term.loss(step)


def test_it_is_the_published_loss(reference):
    want = reference("srrl")
    features, logits = want["features"].requires_grad_(), want["logits"].requires_grad_()
    embedding = want["teacher_features"].mean(dim=(2, 3))
    term = built(features, embedding.shape[1], regression=want["weight"].item())
    convolve, norm, _ = term.connect
    convolve.weight = nn.Parameter(want["Connectors_0_weight"].clone())
    norm.weight, norm.bias = (nn.Parameter(want[f"Connectors_1_{kind}"].clone()) for kind in ("weight", "bias"))
    teacher = ModelOutputs(want["teacher_logits"], embedding, {})
    near = loss(term, features, teacher, lambda rows: F.linear(rows, want["teacher_weight"], want["teacher_bias"]))
    total = F.cross_entropy(logits, want["targets"]) + near
    total.backward()
    assert_close(near.detach(), want["stat"] + want["weight"] * want["sr"], **EXACT)
    assert_close(total.detach(), want["loss"], **EXACT)
    grads = {"features": features, "logits": logits, "Connectors_0_weight": convolve.weight}
    grads |= {"Connectors_1_weight": norm.weight, "Connectors_1_bias": norm.bias}
    for name, each in grads.items():
        assert_close(each.grad, want[f"grad_{name}"], **EXACT)


def test_the_teachers_own_embedding_has_no_distance():
    features, classify = torch.rand(5, 4, 2, 2), nn.Linear(4, 6)
    term = built(features, 4)
    term.connect = nn.Identity()
    embedding = features.mean(dim=(2, 3))
    teacher = ModelOutputs(classify(embedding).detach(), embedding, {})
    assert loss(term, features, teacher, classify) < 1e-30


def test_the_teachers_classifier_passes_a_gradient_and_gets_none():
    images = torch.randn(4, 3, 16, 16)
    student, teacher = (sd.create("resnet8", 5, size=16).double() for _ in range(2))
    teach = sd.teach(student, "srrl()", images, networks={"teacher": teacher})
    network = teach.step.networks["teacher"]
    outputs = network(images)
    embedding = outputs.embedding.detach().requires_grad_()
    assert_close(network.classify(embedding), outputs.logits)
    (grad,) = torch.autograd.grad(network.classify(embedding).sum(), embedding)
    assert grad.abs().sum() > 0
    before = {name: each.clone() for name, each in teacher.state_dict().items()}
    teach(images, torch.arange(4)).backward()
    assert all(each.grad is None for each in teacher.parameters())
    assert all(torch.equal(each, before[name]) for name, each in teacher.state_dict().items())
