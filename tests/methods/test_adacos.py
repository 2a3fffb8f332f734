import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.functional import l2_normalize_finite
from selfdistill.methods import adacos
from selfdistill.terms import TrainingInfo
from selfdistill.terms.cosine_scale import adapted_scale
from tests.helpers.step_contexts import build_context, only, step_context

ROWS, CLASSES, WIDTH = 8, 5, 4


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def draw(seed=0, rows=ROWS):
    draws = torch.Generator().manual_seed(seed)
    embedding, weight = torch.randn(rows, WIDTH, generator=draws), torch.randn(CLASSES, WIDTH, generator=draws)
    return embedding, weight, torch.randint(0, CLASSES, (rows,), generator=draws)


def term(**options):
    made = only(adacos(**options), "task")
    made.build(build_context(logits=(ROWS, CLASSES), embedding=(ROWS, WIDTH)))
    return made


def show(embedding, weight, labels, scale, offset=0.3):
    logits = embedding @ weight.T + offset
    return step_context(logits, labels, embedding=embedding, classifier_weight=weight, memory=scale)


def start(made):
    return made.start(TrainingInfo(CLASSES, WIDTH, ROWS, torch.zeros(())))


def loop(embedding, weight, labels, scale, dynamic):
    """The loss and the next scale, by plain lists and loops."""

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    cosines = [[cosine(x, w) for w in weight.tolist()] for x in embedding.tolist()]
    labels = labels.tolist()
    if dynamic:
        around = [
            math.exp(scale * row[k]) for row, y in zip(cosines, labels, strict=True) for k in range(CLASSES) if k != y
        ]
        angles = sorted(math.acos(row[y]) for row, y in zip(cosines, labels, strict=True))
        median = angles[(len(angles) - 1) // 2]
        scale = math.log(sum(around) / len(labels)) / math.cos(min(math.pi / 4, median))
    loss = 0.0
    for row, y in zip(cosines, labels, strict=True):
        loss += math.log(sum(math.exp(scale * c) for c in row)) - scale * row[y]
    return loss / len(labels), scale


@pytest.mark.parametrize("scale", ["dynamic", "fixed"])
@pytest.mark.parametrize("rows", [ROWS, ROWS - 1])
def test_loss_and_scale_are_the_plain_loop_over_three_steps(scale, rows):
    made = term(scale=scale)
    memory = start(made)
    want = math.sqrt(2) * math.log(CLASSES - 1)
    assert memory.item() == pytest.approx(want)
    for step in range(3):
        at = draw(step, rows)
        expected, want = loop(*at, want, scale == "dynamic")
        loss, memory = made(show(*at, memory))
        assert_close(loss.item(), expected, rtol=1e-10, atol=0)
        assert_close(memory.item(), want, rtol=1e-10, atol=0)


def test_well_trained_embeddings_lower_the_scale_by_their_median_angle():
    _, weight, _ = draw()
    labels = torch.arange(ROWS) % CLASSES
    cosine = l2_normalize_finite(weight)[labels] @ l2_normalize_finite(weight).T  # every angle to the own class is 0
    scale = torch.tensor(2.0)
    others = sum(math.exp(2 * cosine[b, k]) for b in range(ROWS) for k in range(CLASSES) if k != labels[b]) / ROWS
    assert_close(adapted_scale(scale, cosine, labels).item(), math.log(others), rtol=1e-10, atol=0)


def test_lengths_do_not_count():
    embedding, weight, labels = draw()
    made = term()
    one, _ = made(show(embedding, weight, labels, start(made)))
    other, _ = made(show(embedding * torch.rand(ROWS, 1).add(0.1), weight * 7, labels, start(made)))
    assert_close(one, other)


def test_the_gradient_is_that_of_a_constant_scale():
    embedding, weight, labels = draw()
    embedding.requires_grad_()
    made = term()
    loss, scale = made(show(embedding, weight, labels, start(made)))
    (grad,) = torch.autograd.grad(loss, embedding)
    assert not scale.requires_grad
    fixed, _ = term(scale="fixed")(show(embedding, weight, labels, scale))
    assert_close(grad, torch.autograd.grad(fixed, embedding)[0])


def test_rows_of_zeros_stay_finite():
    embedding, weight, labels = draw()
    embedding[0], weight[1], embedding[2] = 0.0, 0.0, embedding[3]
    embedding.requires_grad_(), weight.requires_grad_()
    made = term()
    loss, scale = made(show(embedding, weight, labels, start(made)))
    loss.backward()
    assert loss.isfinite()
    assert scale.isfinite()
    assert torch.equal(embedding.grad[0], torch.zeros(WIDTH))
    assert max(embedding.grad.abs().max(), weight.grad.abs().max()) < 100


@pytest.mark.parametrize("bias", [True, False])
def test_the_deployed_classifier_ranks_by_cosine(bias):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, WIDTH), nn.Tanh(), nn.Linear(WIDTH, CLASSES, bias=bias))
    with torch.no_grad():
        model[-1].weight.mul_(torch.linspace(0.1, 9.0, CLASSES)[:, None])  # so that lengths would decide
    images = torch.randn(64, 3, 2, 2)
    cosine = l2_normalize_finite(model[:3](images)) @ l2_normalize_finite(model[-1].weight).T
    assert (model(images).argmax(dim=1) != cosine.argmax(dim=1)).any()
    teach = sd.teach(model, adacos(), images)
    teach(images, torch.arange(64) % CLASSES).backward()
    assert all(each.grad is not None for each in model.parameters())
    assert not bias or torch.equal(model[-1].bias.grad, torch.zeros(CLASSES))
    shown = teach.step.deployed()
    assert torch.equal(shown(images).argmax(dim=1), cosine.argmax(dim=1))
    assert shown is not model
    deployed = teach.close()
    assert torch.equal(deployed(images).argmax(dim=1), cosine.argmax(dim=1))
    lengths = deployed[-1].weight.norm(dim=1)
    assert_close(lengths, torch.full_like(lengths, math.sqrt(2) * math.log(CLASSES - 1)))


def test_two_classes_have_no_scale():
    with pytest.raises(UserError, match="log\\(C - 1\\), which is zero for two classes"):
        only(adacos(), "task").build(build_context(logits=(4, 2)))


def test_mixed_batches_keep_the_scale_fixed():
    assert only(adacos(scale="fixed"), "task").supports_mixup
    assert not only(adacos(), "task").supports_mixup
