import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from selfdistill.functional import fuse_predictions
from selfdistill.methods import csd
from tests.helpers.step_contexts import clock, only, step_context

ROWS, CLASSES, WIDTH = 7, 4, 3


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def draw(seed=0):
    draws = torch.Generator().manual_seed(seed)
    embedding = torch.randn(ROWS, WIDTH, generator=draws)
    weight, bias = torch.randn(CLASSES, WIDTH, generator=draws), torch.randn(CLASSES, generator=draws)
    return embedding, torch.randint(0, CLASSES, (ROWS,), generator=draws), weight, bias


def fresh():
    return torch.zeros(CLASSES, WIDTH), torch.zeros(CLASSES, 1)


def show(embedding, labels, weight, bias, memory=None, at=None):
    logits = embedding @ weight.T + bias
    classify = lambda rows: (rows @ weight.T + bias).detach()  # noqa: E731
    return step_context(
        logits,
        labels,
        embedding=embedding,
        classifier=classify,
        memory=memory or fresh(),
        clock=at or clock(),
    )


def softmax(row):
    top = max(row)
    parts = [math.exp(x - top) for x in row]
    return [x / sum(parts) for x in parts]


def loop_centers(centers, met, embedding, labels, rate):
    """c - rate · sum(c - f) / (1 + n); a class first met takes its mean. Plain lists, plain loops."""
    centers, met = centers.tolist(), met.flatten().tolist()
    for k in range(CLASSES):
        rows = [embedding[i].tolist() for i in range(len(labels)) if labels[i] == k]
        if rows and not met[k]:
            centers[k] = [sum(each) / len(rows) for each in zip(*rows, strict=True)]
        elif rows:
            centers[k] = [
                c - rate * sum(c - row[d] for row in rows) / (1 + len(rows)) for d, c in enumerate(centers[k])
            ]
        met[k] += len(rows)
    return torch.tensor(centers), torch.tensor(met)[:, None]


def loop_loss(centers, embedding, labels, weight, bias, trust, temperature, fusion):
    rows, total = weight.tolist(), 0.0

    def say(x):
        return [sum(w * v for w, v in zip(r, x, strict=True)) + b for r, b in zip(rows, bias.tolist(), strict=True)]

    def soft(z):
        return softmax([x / temperature for x in z])

    for f, y in zip(embedding, labels.tolist(), strict=True):
        own, center = say(f.tolist()), say(centers[y].tolist())
        mu = 1 - softmax(own)[y] if fusion == "confidence" else trust
        if fusion == "logit":
            target = soft([mu * c + (1 - mu) * o for c, o in zip(center, own, strict=True)])
        else:
            target = [mu * c + (1 - mu) * o for c, o in zip(soft(center), soft(own), strict=True)]
        total += sum(q * (math.log(q) - math.log(p)) for q, p in zip(target, soft(own), strict=True))
    return temperature**2 * total / len(labels)


@pytest.mark.parametrize("fusion", ["logit", "prob", "confidence"])
@pytest.mark.parametrize("detach", [True, False])
def test_loss_and_centers_are_the_plain_loop_over_three_steps(fusion, detach):
    term, memory = only(csd(trust=0.3, temperature=2.5, fusion=fusion, detach=detach), "center"), fresh()
    for step in range(3):
        embedding, labels, *_ = draw(step)
        labels = labels if step else labels.clamp(max=2)  # class 3 is first met later
        _, _, weight, bias = draw(99)
        want = loop_centers(*memory, embedding, labels, rate=0.5)
        loss, memory = term(show(embedding, labels, weight, bias, memory))
        assert_close(memory, want, rtol=1e-12, atol=1e-14)
        expected = loop_loss(want[0], embedding, labels, weight, bias, 0.3, 2.5, fusion)
        assert_close(loss.item(), expected, rtol=1e-9, atol=0)


def test_nothing_trains_through_the_center():
    embedding, labels, weight, bias = draw()
    weight.requires_grad_()
    embedding.requires_grad_()
    term = only(csd(), "center")
    loss, (centers, met) = term(show(embedding, labels, weight, bias))
    assert not centers.requires_grad
    assert not met.requires_grad
    target = fuse_predictions(*(torch.randn(ROWS, CLASSES) for _ in range(2)), labels, "logit", 0.5, 4.0)
    assert not target.requires_grad
    loss.backward()
    assert embedding.grad.abs().max() > 0


@pytest.mark.parametrize("fusion", ["logit", "prob"])
def test_gradient_is_the_closed_form(fusion):
    embedding, labels, weight, bias = draw()
    embedding.requires_grad_()
    temperature, scale = 4.0, 2.0
    term = only(csd(fusion=fusion, temperature=temperature, weight=scale), "center")
    shown = show(embedding, labels, weight, bias)
    loss, (centers, _) = term(shown)
    (term.weight * loss * ROWS).backward()
    target = fuse_predictions(
        (centers @ weight.T + bias)[labels], shown.logits.detach(), labels, fusion, trust=0.5, temperature=temperature
    )
    p = (shown.logits / temperature).softmax(dim=1)
    assert_close(embedding.grad, (scale * temperature * (p - target) @ weight).detach(), rtol=1e-9, atol=1e-12)


@given(st.integers(0, 2**31), st.sampled_from(["logit", "prob"]), st.floats(0.05, 1.0), st.floats(0.5, 8.0))
@settings(max_examples=60)
def test_every_arrow_points_towards_its_center(seed, fusion, trust, temperature):
    embedding, labels, weight, bias = draw(seed)
    embedding.requires_grad_()
    loss, (centers, _) = only(csd(fusion=fusion, trust=trust, temperature=temperature), "center")(
        show(embedding, labels, weight, bias)
    )
    loss.backward()
    along = (-embedding.grad * (centers[labels] - embedding.detach())).sum(dim=1)
    assert along.min() >= -1e-12


def test_probability_fusion_only_rescales_the_weight():
    embedding, labels, weight, bias = draw()
    grads = []
    for trust in (1.0, 0.25):
        each = embedding.clone().requires_grad_()
        loss, _ = only(csd(fusion="prob", trust=trust), "center")(show(each, labels, weight, bias))
        loss.backward()
        grads.append(each.grad / trust)
    assert_close(*grads)


def test_own_prediction_keeps_its_gradient_on_request():
    embedding, labels, weight, bias = draw()
    grads = []
    for detach in (True, False):
        each = embedding.clone().requires_grad_()
        only(csd(detach=detach), "center")(show(each, labels, weight, bias))[0].backward()
        grads.append(each.grad)
    assert not torch.allclose(*grads)


def test_warmup_grows_with_the_epochs():
    embedding, labels, weight, bias = draw()
    at = lambda progress: show(embedding, labels, weight, bias, at=clock(epochs=10, progress=progress))  # noqa: E731
    full, _ = only(csd(), "center")(at(0.0))
    term = only(csd(warmup=2), "center")
    assert term.uses_progress
    assert_close(term(at(0.1))[0], full / 2)
    assert term(at(0.0))[0].item() == 0.0
