"""SD-Dropout, R-Drop and Cosub: two predictions of each image under dropout."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.data.batch import Mix
from selfdistill.errors import UserError
from selfdistill.functional import dropout_logits, kl_divergence, kl_through_teacher
from selfdistill.methods import cosub, r_drop, sd_dropout
from selfdistill.terms import ModelOutputs
from tests.helpers.step_contexts import clock, only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def draw(monkeypatch, module, *masks):
    """Let a method's masks be these, 1 for an entry that is kept."""
    drawn = torch.stack(masks)
    monkeypatch.setattr(sys.modules[f"selfdistill.methods.{module}"], "uniform", lambda key, shape: drawn.view(shape))


def linear(want):
    embedding, weight, bias = (want[key].requires_grad_() for key in ("embedding", "weight", "bias"))
    return embedding, weight, bias, embedding @ weight.T + bias


def test_sd_dropout_is_the_published_loss(reference, monkeypatch):
    want = reference("sd_dropout")
    draw(monkeypatch, "sd_dropout", want["mask1"], want["mask2"])
    embedding, weight, bias, logits = linear(want)
    method = sd_dropout(weight=want["lam_sdd"].item(), rate=want["p"].item(), temperature=want["T"].item())
    step = step_context(logits, want["targets"], embedding=embedding, classifier_weight=weight)
    far = only(method, "dropout").loss(step)
    loss = F.cross_entropy(logits, want["targets"]) + method.weights["dropout"] * far
    loss.backward()
    assert_close(far.detach(), want["loss_kl"], **EXACT)
    assert_close(loss.detach(), want["loss"], **EXACT)
    for name, each in (("embedding", embedding), ("weight", weight), ("bias", bias)):
        assert_close(each.grad, want[f"grad_{name}"], **EXACT)


def test_r_drop_is_the_published_loss(reference):
    want = reference("r_drop")
    one, other = (want[key].requires_grad_() for key in ("logits1", "logits2"))
    term = only(r_drop(alpha=want["alpha"].item(), dropout=0.0, mean="sum"), "task")
    loss = total(term.loss(step_context(one, want["targets"], views={"again": other})))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    for name, each in (("logits1", one), ("logits2", other)):
        assert_close(each.grad, want[f"grad_{name}"], **EXACT)
    both = kl_through_teacher(one, other) + kl_through_teacher(other, one)
    assert_close((len(one) * both).detach(), want["kl_sum"] + want["reverse_kl_sum"], **EXACT)


def rows(detach=False, rate=0.5, masks=None, monkeypatch=None):
    embedding, weight = torch.randn(6, 4).requires_grad_(), torch.randn(3, 4).requires_grad_()
    if masks:
        draw(monkeypatch, "sd_dropout", *masks)
    step = step_context(
        embedding @ weight.T, torch.zeros(6, dtype=torch.long), embedding=embedding, classifier_weight=weight
    )
    return only(sd_dropout(rate=rate, detach=detach), "dropout").loss(step)


def test_equal_masks_and_a_rate_of_zero_leave_no_distance(monkeypatch):
    assert rows(rate=0.0).abs() < 1e-15
    mask = (torch.rand(6, 4) < 0.5).double()
    assert rows(masks=(mask, mask), monkeypatch=monkeypatch).abs() < 1e-15


def test_the_two_masks_may_change_places(monkeypatch):
    masks, found = [(torch.rand(6, 4) < 0.5).double() for _ in range(2)], []
    for pair in (masks, masks[::-1]):
        torch.manual_seed(0)
        found.append(rows(masks=pair, monkeypatch=monkeypatch))
    assert_close(*found)
    assert found[0] > 0.1


def test_detached_targets_get_no_gradient():
    assert only(sd_dropout(detach=True), "dropout").divergence is kl_divergence
    one, other = torch.randn(2, 4, 3).requires_grad_().unbind()
    for divergence, reached in ((kl_divergence, False), (kl_through_teacher, True)):
        (grad,) = torch.autograd.grad(divergence(one, other), other, allow_unused=True, retain_graph=True)
        assert (grad is not None) == reached


def test_dropped_logits_are_those_of_the_dropped_embedding():
    embedding, keep, layer = torch.randn(6, 4), (torch.rand(6, 4) < 0.7).double(), nn.Linear(4, 3)
    want = layer(embedding * keep / 0.7)
    assert_close(dropout_logits(layer(embedding), embedding, layer.weight, keep, 0.3), want)


def of_cosub(one, other, shares, **options):
    """Cosub's parts for two predictions and label vectors of zeros and ones."""
    count = shares.sum(dim=1, keepdim=True)
    labels = shares.topk(2, dim=1).indices
    mix = Mix(shares.gather(1, labels) / count, torch.arange(2 * len(one)).view(2, -1).T)
    step = step_context(one, labels.T.flatten(), views={"again": other}, mix=mix)
    return only(cosub(dropout=0.0, **options), "task").loss(step)


def test_cosub_is_the_published_loss(reference):
    want = reference("cosub")
    logits = want["logits"].requires_grad_()
    loss = total(of_cosub(*logits.chunk(2), want["label_vectors"]))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)


@pytest.mark.parametrize("form", ["bce", "ce"])
def test_submodels_may_change_places_and_equal_ones_teach_nothing(form):
    one, other, labels = torch.randn(6, 4), torch.randn(6, 4), F.one_hot(torch.arange(6) % 4, 4).double()
    there, back = (of_cosub(*pair, labels, form=form) for pair in ((one, other), (other, one)))
    assert_close(there, back)
    logits = one.clone().requires_grad_()
    value = of_cosub(logits, logits.detach(), labels, form=form)
    (grad,) = torch.autograd.grad(value["mimic"] + value["learn"] / 2, logits)
    assert grad.abs().max() < 1e-15  # a quarter of the label loss is taken back, and the other's target is its own
    assert total(value).isfinite()


def both_passes(dropout, key):
    torch.manual_seed(0)
    embedding, weight, labels = torch.randn(6, 4), torch.randn(3, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    outputs = ModelOutputs(embedding @ weight.T, embedding, {})
    at = clock()._replace(key=torch.tensor(key))
    step = step_context(
        outputs.logits, labels, embedding=embedding, classifier_weight=weight, views={"again": outputs}, clock=at
    )
    return only(r_drop(dropout=dropout), "task").loss(step)


def test_r_drop_drops_by_itself_and_by_the_key():
    same, ours, others = both_passes(0.0, 0), both_passes(0.5, 0), both_passes(0.5, 1)
    assert same["mimic"].abs() < 1e-15
    assert ours["mimic"] > 0.01
    assert not torch.equal(ours["mimic"], others["mimic"])


def test_without_any_dropout_two_passes_are_refused():
    model, images = sd.create("resnet8", 10, size=8).double(), torch.randn(4, 3, 8, 8)
    with pytest.raises(UserError, match=r"compares two passes .*Sequential has neither dropout nor stochastic depth"):
        sd.teach(model, "r_drop(dropout=0.0)", images)
    sd.teach(model, "r_drop()", images)
    sd.teach(nn.Sequential(nn.Dropout(0.1), model), "r_drop(dropout=0.0)", images)
    with pytest.raises(UserError, match="Sequential has neither"):
        sd.teach(nn.Sequential(nn.Dropout(0.0), model), "r_drop(dropout=0.0)", images)


def test_looking_for_dropout_changes_nothing():
    model, images = nn.Sequential(nn.Dropout(0.5), sd.create("resnet8", 10, size=8).double()), torch.randn(4, 3, 8, 8)
    model.eval()
    before, state = {name: each.clone() for name, each in model.state_dict().items()}, torch.get_rng_state()
    sd.teach(model, "r_drop(dropout=0.0)", images)
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
