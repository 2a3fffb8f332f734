import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.functional import class_divergences, inter_class_gap, kl_divergence, l2_normalize, pairwise_gap
from selfdistill.methods import icsd
from selfdistill.terms import ModelOutputs
from tests.helpers.random_features import tokens
from tests.helpers.step_contexts import clock, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def everywhere(maps):
    return torch.ones(len(maps), maps[0, 0].numel(), dtype=torch.bool)


def labels_of(maps):
    return torch.zeros(len(maps), *maps.shape[2:], dtype=torch.long)


def gap(logits, theirs, labels=None, at=None, **options):
    """The term on maps of logits of a dense model."""
    labels = labels_of(logits) if labels is None else labels
    context = step_context(logits, labels, views={"teacher": ModelOutputs(theirs, None, {})}, clock=at or clock())
    return only(icsd(**options), "classes").loss(context)


def at_pixels(maps):
    return maps.movedim(1, -1).flatten(0, -2)


def test_it_is_the_stored_loss(reference):
    want = reference("icsd")
    logits, theirs = want["logits"].requires_grad_(), want["teacher_logits"]
    at = clock(want["epoch"].item(), want["epochs"].item())
    method = icsd(adaptive=True, weight=want["weight"].item(), temperature=want["T"].item())
    alpha = at.completed.item()
    classes = gap(logits, theirs, at=at, adaptive=True, temperature=want["T"].item())
    rows = step_context(at_pixels(logits), labels_of(logits).flatten(), views={"teacher": at_pixels(theirs)}, clock=at)
    pixels = only(method, "pixels").loss(rows)
    loss = method.weights["classes"] * classes + pixels
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(classes.detach() / alpha, want["inter_class"], **EXACT)
    assert_close(pixels.detach() / (1 - alpha), want["pixelwise"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    for maps, matrix in ((logits.detach(), "matrix"), (theirs, "teacher_matrix")):
        found = class_divergences(maps.flatten(2), everywhere(maps), want["T"].item())
        assert_close(l2_normalize(found), want[matrix], **EXACT)


def published_classes(logits):
    """The matrix of the published code: probabilities over a column, in place of their logs too; above the diagonal."""
    p = logits.softmax(dim=2).movedim(1, 0).flatten(1)
    upper = torch.triu((p * p.log()).sum(dim=1) - p @ p.T)
    return l2_normalize(upper + torch.triu(upper, 1).T)


def gram_of_classes(logits):
    rows = logits.flatten(2)
    return l2_normalize(rows @ rows.transpose(1, 2))


def test_the_published_code_is_another_loss_which_its_parts_give(reference):
    want = reference("icsd_as_coded")
    logits, features = want["logits"].requires_grad_(), want["features"].requires_grad_()
    theirs, images, classes = want["teacher_logits"], len(logits), logits.shape[1]
    parts = {
        "pairwise": want["pa_lambda"] * pairwise_gap(features, want["teacher_features"], scale=0.5),
        "pixelwise": want["pi_lambda"] * kl_divergence(at_pixels(logits), at_pixels(theirs)) / classes,
        "gram": want["ic_lambda"] * classes * (gram_of_classes(logits) - gram_of_classes(theirs)).square().mean(),
        "inter_class": want["lo_lambda"]
        / images
        * (published_classes(logits) - published_classes(theirs)).square().mean(),
    }
    for name, part in parts.items():
        assert_close(part.detach(), want[name], rtol=1e-7, atol=0)
    loss = sum(parts.values())
    found = torch.autograd.grad(loss, (logits, features), retain_graph=True)
    assert_close(loss.detach(), want["loss"], rtol=1e-7, atol=0)
    for one, name in zip(found, ("grad_logits", "grad_features"), strict=True):
        assert_close(one, want[name], rtol=1e-6, atol=1e-6 * want[name].abs().max().item())
    (alone,) = torch.autograd.grad(parts["inter_class"], logits)
    assert_close(alone, want["grad_inter_class_logits"], rtol=1e-6, atol=1e-12)


def loop_over_classes(maps, known, temperature):
    """KL of each pair of classes over the known positions, number by number; rows of length 1."""
    found = torch.zeros(len(maps), maps.shape[1], maps.shape[1])
    for b, image in enumerate(maps.flatten(2)):
        q = [F.softmax(row[known[b]] / temperature, dim=0) for row in image]
        for i, one in enumerate(q):
            for j, other in enumerate(q):
                found[b, i, j] = sum(p * math.log(p / r) for p, r in zip(one.tolist(), other.tolist(), strict=True))
            length = found[b, i].norm()
            found[b, i] /= length if length else 1.0
    return found


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_it_is_the_loop_over_known_positions(temperature):
    own, theirs = tokens(0, 2, 4, 3, 2), tokens(1, 2, 4, 3, 2)
    labels = labels_of(own)
    labels[0, 0], labels[1, 1:, 1] = -100, -100
    known = (labels != -100).flatten(1)
    want = (loop_over_classes(own, known, temperature) - loop_over_classes(theirs, known, temperature)).square().mean()
    assert_close(gap(own, theirs, labels, temperature=temperature), want, **EXACT)


def test_positions_without_a_label_have_no_part():
    own, theirs = tokens(0, 2, 4, 4, 4).requires_grad_(), tokens(1, 2, 4, 4, 4)
    labels = labels_of(own)
    labels[:, 2:] = -100
    loss = gap(own, theirs, labels)
    loss.backward()
    assert not own.grad[:, :, 2:].any()
    assert own.grad[:, :, :2].abs().max() > 0
    changed = own.detach().clone()
    changed[:, :, 2:] += 50.0
    assert_close(gap(changed, theirs, labels), loss.detach())
    assert_close(gap(own[:, :, :2], theirs[:, :, :2]), loss)


def test_labels_may_be_larger_than_the_logits():
    own, theirs = tokens(0, 2, 3, 4, 4), tokens(1, 2, 3, 4, 4)
    small, large = labels_of(own), torch.zeros(2, 8, 8, dtype=torch.long)
    small[0, 0], large[0, :2] = -100, -100
    assert_close(gap(own, theirs, large), gap(own, theirs, small))


def test_what_leaves_the_classes_alike_leaves_the_loss():
    own, theirs = tokens(0, 2, 4, 3, 3), tokens(1, 2, 4, 3, 3)
    loss = gap(own, theirs)
    assert gap(own, own) == 0
    assert loss > 0
    assert_close(gap(own + torch.arange(4.0)[None, :, None, None], theirs), loss)
    assert_close(gap(own.flip(2).transpose(2, 3), theirs.flip(2).transpose(2, 3)), loss)


@pytest.mark.parametrize("fill", [0.0, 1e4])
def test_flat_maps_and_images_without_labels_stay_finite(fill):
    own, theirs = torch.full((2, 4, 3, 3), fill), tokens(1, 2, 4, 3, 3)
    own[1] = fill * theirs[1]
    own.requires_grad_()
    labels = labels_of(own)
    labels[0] = -100
    for each in (labels, labels_of(own)):
        loss = gap(own, theirs, each)
        loss.backward()
        assert loss.isfinite()
        assert own.grad.isfinite().all()


def test_a_gradient_check():
    own, theirs = tokens(0, 1, 3, 2, 2).flatten(2), tokens(1, 1, 3, 2, 2).flatten(2)
    known = torch.tensor([[True, True, False, True]])
    assert torch.autograd.gradcheck(lambda each: inter_class_gap(each, theirs, known, 2.0), own.requires_grad_())


def test_a_teachers_maps_may_have_another_size():
    own, theirs = tokens(0, 2, 3, 4, 4), tokens(1, 2, 3, 8, 8)
    resized = F.interpolate(theirs, size=(4, 4), mode="bilinear", align_corners=False)
    assert_close(gap(own, theirs), gap(own, resized))


def test_adaptive_it_turns_from_the_teacher_to_the_labels():
    logits, theirs, labels = tokens(0, 6, 4), tokens(1, 6, 4), torch.arange(6) % 4
    method = icsd(adaptive=True)
    for epoch in (0, 4, 9):
        at = clock(epoch, 10)
        context = step_context(logits, labels, views={"teacher": theirs}, clock=at)
        share = epoch / 10
        task, pixels = (only(method, name).loss(context) for name in ("task", "pixels"))
        assert_close(task, share * F.cross_entropy(logits, labels), rtol=1e-6, atol=0)
        want = F.kl_div(logits.log_softmax(1), theirs.softmax(1), reduction="batchmean")
        assert_close(pixels, (1 - share) * want, rtol=1e-6, atol=0)
    assert icsd().task is None
