import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.functional import neighbor_shares, soft_label_of_neighbors
from selfdistill.methods import pals
from selfdistill.methods.pals import grid_of
from tests.helpers.kinds import CLASSES, UNet, pixel_labels
from tests.helpers.random_features import padded, tokens
from tests.helpers.step_contexts import only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def smoothed(logits, features, labels=None, **options):
    """The term on maps of logits and of the last stage of a dense model."""
    labels = torch.zeros(len(logits), *logits.shape[2:], dtype=torch.long) if labels is None else labels
    context = step_context(logits, labels, features={"stage-1": features})
    return only(pals(**options), "neighbors").loss(context)


def loop_over_positions(logits, features, known, temperature):
    """The soft label of each known position, one position and one neighbor after the other."""
    rows = []
    for z, f, seen in zip(logits, features, known, strict=True):
        places = [k for k in range(len(seen)) if seen[k]]
        for i in places:
            others = [j for j in places if j != i]
            if others:
                cosines = torch.stack([F.cosine_similarity(f[:, i], f[:, j], dim=0) for j in others])
                shares = F.softmax(cosines / temperature, dim=0)
                soft = sum(share * F.softmax(z[:, j], dim=0) for share, j in zip(shares, others, strict=True))
                rows.append(-(soft * F.log_softmax(z[:, i], dim=0)).sum())
    return torch.stack(rows).mean()


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_it_is_the_loop_over_known_positions(temperature):
    logits, features = tokens(0, 2, 4, 3, 3), tokens(1, 2, 5, 3, 3)
    labels = torch.zeros(2, 3, 3, dtype=torch.long)
    labels[0, :2], labels[1, 0] = -100, -100
    labels[0, 2, :2] = -100  # the first image has one known position, without a neighbor
    known = (labels != -100).flatten(1)
    want = loop_over_positions(logits.flatten(2), features.flatten(2), known, temperature)
    assert_close(smoothed(logits, features, labels, temperature=temperature), want, **EXACT)


def test_positions_without_a_label_have_no_part():
    logits, features = tokens(0, 2, 4, 4, 4).requires_grad_(), tokens(1, 2, 5, 4, 4).requires_grad_()
    labels = torch.zeros(2, 4, 4, dtype=torch.long)
    labels[:, 2:] = -100
    loss = smoothed(logits, features, labels)
    loss.backward()
    assert not logits.grad[:, :, 2:].any()
    assert features.grad is None  # similarities have no gradient
    assert_close(smoothed(logits[:, :, :2], features[:, :, :2]), loss)


def test_the_target_has_no_gradient():
    logits = tokens(0, 1, 3, 4).requires_grad_()
    features, known = tokens(1, 1, 5, 4), torch.ones(1, 4, dtype=torch.bool)
    soft_label_of_neighbors(logits, features, known, 0.1).backward()
    p = logits.detach().softmax(dim=1)
    soft = neighbor_shares(features.transpose(1, 2), known, 0.1) @ p.transpose(1, 2)
    assert_close(logits.grad, (p - soft.transpose(1, 2)) / 4)


def test_a_region_of_equal_features_gets_its_mean_prediction():
    logits, features = tokens(0, 1, 3, 2, 2), torch.ones(1, 5, 2, 2)
    p = logits.flatten(2).softmax(dim=1)[0]
    others = (p.sum(dim=1, keepdim=True) - p) / 3
    assert_close(smoothed(logits, features), -(others * p.log()).sum(dim=0).mean())


def test_no_label_and_no_features_stay_finite():
    logits, features = tokens(0, 2, 3, 2, 2).requires_grad_(), torch.zeros(2, 5, 2, 2)
    loss = smoothed(logits, features, torch.full((2, 2, 2), -100))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()
    assert smoothed(logits, features).isfinite()


def test_large_maps_are_averaged_down():
    assert [grid_of(torch.Size((2, 8, *sides))) for sides in ((64, 20), (5000, 1), (16, 16, 4), (1, 1))] == [
        [32, 20],
        [1024, 1],
        [10, 10, 4],
        [1, 1],
    ]
    logits, features = tokens(0, 1, 3, 64, 64), tokens(1, 1, 2, 64, 64)
    small = (F.avg_pool2d(each, 2) for each in (logits, features))
    assert_close(smoothed(logits, features), smoothed(*small))


def test_absent_tokens_have_no_part():
    rows, stage = tokens(0, 2, 3), tokens(1, 2, 6, 4)
    weight, embedding = tokens(2, 3, 4), tokens(3, 2, 4)
    losses = [
        only(pals(), "neighbors").loss(
            step_context(
                rows,
                torch.zeros(2, dtype=torch.long),
                features={"stage-1": each},
                embedding=embedding,
                classifier_weight=weight,
            )
        )
        for each in (stage, padded(stage))
    ]
    assert_close(*losses)


def test_a_classifier_is_applied_at_each_position():
    stage, weight, bias = tokens(0, 2, 4, 3, 3).requires_grad_(), tokens(1, 5, 4), tokens(2, 5)
    weight, bias = weight.requires_grad_(), bias.requires_grad_()
    embedding = stage.mean(dim=(2, 3))
    logits = embedding @ weight.T + bias
    context = step_context(
        logits,
        torch.zeros(2, dtype=torch.long),
        features={"stage-1": stage},
        embedding=embedding,
        classifier_weight=weight,
    )
    term = only(pals(), "neighbors")
    maps = term.own_maps(context)
    assert_close(maps, F.conv2d(stage, weight[..., None, None], bias))
    assert_close(maps.mean(dim=(2, 3)), logits)
    found = torch.autograd.grad(maps[:, 0].sum(), (weight, bias), retain_graph=True)
    want = torch.autograd.grad(F.conv2d(stage, weight[..., None, None], bias)[:, 0].sum(), (weight, bias))
    for one, other in zip(found, want, strict=True):
        assert_close(one, other)
    assert term.loss(context) > 0


def test_without_a_share_it_is_cross_entropy():
    torch.manual_seed(0)
    images, labels = torch.randn(4, 3, 16, 24), pixel_labels()
    values = []
    for text in ("pals(alpha=0.0)", "ce()"):
        torch.manual_seed(0)
        values.append(sd.teach(UNet(), text, images, ignore_index=255)(images, labels))
    assert_close(*values)


def test_a_network_without_a_classifier_of_positions_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, CLASSES))
    with pytest.raises(sd.errors.UserError, match=r"pals\(\) applies the classifier at each position .* reads 256 ch"):
        sd.teach(model, "pals()", torch.randn(4, 3, 8, 8))
