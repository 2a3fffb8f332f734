import math

import pytest
import torch
from torch.testing import assert_close

from selfdistill.data.batch import Mix
from selfdistill.functional import confidence_weighted_ce, joint_ranks, mixed_confidence_ce, zipf_loss
from selfdistill.methods import mixup, uskd
from tests.helpers.step_contexts import build_context, only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def built(want, **options):
    term = only(uskd(**options), "customised")
    term.build(build_context(**{"stage-2": (*want["mid_features"].shape, 2, 2)}, logits=want["logits"].shape))
    with torch.no_grad():
        term.weak.weight.copy_(want["weak_fc_weight"])
        term.weak.bias.copy_(want["weak_fc_bias"])
    return term


def spread(vectors):
    """Maps with these means. [B, D] -> [B, D, 2, 2]."""
    around = torch.randn(*vectors.shape, 2, 2)
    return vectors[:, :, None, None] + around - around.mean(dim=(2, 3), keepdim=True)


def test_with_the_codes_rank_it_is_the_published_loss(reference):
    want = reference("uskd_cifar")
    logits, middle = (want[key].requires_grad_() for key in ("logits", "mid_features"))
    term = built(want, rank="code", **{key: want[key].item() for key in ("alpha", "beta", "mu")})
    value = term.loss(step_context(logits, want["targets"], features={"stage-2": spread(middle)}))
    loss = total(value)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(value["learn"].detach(), want["mu"] * want["loss_weak_unit_mu"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    assert_close(middle.grad, want["grad_mid_features"], **EXACT)
    assert_close(term.weak.weight.grad, want["grad_weak_fc_weight"], **EXACT)
    assert_close(term.weak.bias.grad, want["grad_weak_fc_bias"], **EXACT)


def test_each_part_is_the_published_one(reference):
    want = reference("uskd_cifar")
    weak = want["mid_features"] @ want["weak_fc_weight"].T + want["weak_fc_bias"]
    order = joint_ranks(want["logits"], weak, want["targets"], logs=True)
    assert_close(confidence_weighted_ce(want["logits"], want["targets"]), want["loss_target"], **EXACT)
    assert_close(zipf_loss(want["logits"], order, want["targets"]), want["loss_nontarget"], **EXACT)


def softmax(row):
    top = max(row)
    return [math.exp(x - top) / sum(math.exp(y - top) for y in row) for x in row]


def test_the_papers_rank_is_the_plain_loop():
    draws = torch.Generator().manual_seed(0)
    final, weak = (torch.randn(6, 5, generator=draws) for _ in range(2))
    labels = torch.randint(0, 5, (6,), generator=draws)
    got = joint_ranks(final, weak, labels, logs=False)
    loss = 0.0
    for b, y in enumerate(labels.tolist()):
        p, w = softmax(final[b].tolist()), softmax(weak[b].tolist())
        score = [w[k] / (1 - w[y] + 1e-6) + p[k] / (1 - p[y] + 1e-6) for k in range(5)]
        want = [1 + sum(other > each for other in score) for each in score]
        assert got[b].tolist() == want
        others = [k for k in range(5) if k != y]
        whole = sum(1 / want[k] for k in others)
        left = sum(p[k] for k in others)
        loss -= sum(1 / want[k] / whole * math.log(p[k] / left) for k in others) / 6
    assert_close(zipf_loss(final, got, labels).item(), loss, rtol=1e-10, atol=0)


def test_the_two_ranks_differ(reference):
    want = reference("uskd_cifar")
    weak = want["mid_features"] @ want["weak_fc_weight"].T + want["weak_fc_bias"]
    both = [joint_ranks(want["logits"], weak, want["targets"], logs) for logs in (True, False)]
    assert not torch.equal(*both)


def test_confidence_is_one_on_average():
    logits, labels = torch.randn(6, 5).requires_grad_(), torch.arange(6) % 5
    confidence_weighted_ce(logits, labels).backward()
    p = logits.softmax(dim=1).gather(1, labels[:, None])[:, 0].detach()
    shares = p.square() + 1 - p.square().mean()
    assert_close(shares.mean(), torch.ones(()))
    own = logits.grad.gather(1, labels[:, None])[:, 0]
    assert_close(own, -shares * (1 - p) / 6)


def test_no_gradient_comes_through_the_ranks(reference):
    want = reference("uskd_cifar")
    term = built(want, mu=0.0)
    middle = spread(want["mid_features"]).requires_grad_()
    total(term.loss(step_context(want["logits"], want["targets"], features={"stage-2": middle}))).backward()
    assert torch.equal(term.weak.weight.grad, torch.zeros_like(term.weak.weight))  # and not None
    assert torch.equal(middle.grad, torch.zeros_like(middle))


def test_one_label_with_all_the_share_is_the_hard_label():
    logits, labels = torch.randn(6, 5), torch.arange(6) % 5
    shares = torch.nn.functional.one_hot(labels, 5).double()
    assert_close(mixed_confidence_ce(logits, shares), confidence_weighted_ce(logits, labels))


def test_two_labels_are_the_plain_loop():
    logits, shares = torch.randn(4, 5), torch.zeros(4, 5)
    pairs = [(0, 1, 0.7), (2, 4, 0.6), (3, 0, 0.9), (1, 3, 1.0)]
    for b, (one, other, share) in enumerate(pairs):
        shares[b, one], shares[b, other] = share, 1 - share
    p, loss = logits.softmax(dim=1), 0.0
    first, second = (torch.stack([p[b, pair[k]] ** 2 for b, pair in enumerate(pairs[:3])]) for k in (0, 1))
    last, rest = p[3, 1] ** 2, p[3, shares[3].topk(2).indices[1]] ** 2  # its second label, of share 0, is any
    means = (first.sum() + last) / 4, (second.sum() + rest) / 4
    for b, (one, other, share) in enumerate(pairs):
        loss -= (p[b, one] ** 2 + share - means[0]) * p[b, one].log() / 4
        if share < 1:
            loss -= (p[b, other] ** 2 + 1 - share - means[1]) * p[b, other].log() / 4
    assert_close(mixed_confidence_ce(logits, shares), loss)


def test_mixed_rows_rank_the_classes_but_the_larger_one(reference):
    want = reference("uskd_cifar")
    labels, logits = want["targets"], want["logits"]
    partners = torch.stack([torch.arange(len(labels)), torch.arange(len(labels)).flip(0)], dim=1)
    term, maps = built(want), spread(want["mid_features"])
    clean, whole = (
        term.loss(step_context(logits, labels, features={"stage-2": maps}, mix=mix))
        for mix in (None, Mix(torch.tensor([[1.0, 0.0]]).repeat(len(labels), 1), partners))
    )
    assert_close(whole["mimic"], clean["mimic"], **EXACT)
    assert_close(whole["learn"], clean["learn"], **EXACT)
    assert (uskd() + mixup()).mixing


@pytest.mark.parametrize("size", [0.0, 1e4])
def test_even_and_certain_rows_stay_finite(size):
    logits = (size * torch.eye(4)).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0])
    order = joint_ranks(logits.detach(), torch.zeros(4, 4), labels, logs=False)
    loss = confidence_weighted_ce(logits, labels) + zipf_loss(logits, order, labels)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.abs().max() <= 1
