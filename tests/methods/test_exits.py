"""EED, LOTH and DTSKD: exits along the depth that teach each other; published losses, through the trained terms."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import active_mse
from selfdistill.heads import VectorPyramid
from selfdistill.methods import dtskd, eed, loth
from selfdistill.step import memory
from selfdistill.terms import Progress
from tests.helpers.step_contexts import build_context, clock, only, step_context, total
from tests.methods.test_branches import FixedOutputs, grads_are, leaves

EXACT = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


class Fixed(nn.Module):
    """A head that gives what it was told to."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def forward(self, *args):
        return self.found


def eed_of(logits, features, labels, **options):
    term = only(eed(**options), "ensemble")
    shapes = {f"stage{k}": (len(labels), 4, 2, 2) for k in range(1, len(logits) + 1)}
    term.build(build_context(**shapes, embedding=features[-1].shape, logits=logits[-1].shape))
    term.heads = nn.ModuleList(map(FixedOutputs, logits[:-1], features[:-1]))
    maps = dict.fromkeys(shapes, torch.zeros(len(labels), 4, 2, 2))
    return term.loss(step_context(logits[-1], labels, embedding=features[-1], features=maps))


def test_eed_is_the_authors_code(reference):
    want = reference("eed")
    logits, features = (leaves(want, *(f"{kind}{k}" for k in range(1, 5))) for kind in ("exit", "feat"))
    value = eed_of(logits, features, want["targets"], temperature=want["T"].item())
    loss = F.cross_entropy(logits[-1], want["targets"]) + total(value)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(value["mimic"].detach(), want["outputs"] + want["features"], **EXACT)
    grads_are(want, [f"{kind}{k}" for k in range(1, 5) for kind in ("exit", "feat")])


def random_exits(count=3):
    return [torch.randn(6, 5) for _ in range(count)], [torch.randn(6, 4) for _ in range(count)], torch.arange(6) % 5


@pytest.mark.parametrize("output", ["mse", "kl"])
def test_the_order_of_exits_changes_no_imitation(output):
    logits, features, labels = random_exits()
    one, other = (eed_of(*each, labels, output=output) for each in ((logits, features), (logits[::-1], features[::-1])))
    assert_close(one["mimic"], other["mimic"])


def test_equal_exits_are_at_their_mean():
    logits, features, labels = random_exits(1)
    assert eed_of(3 * logits, 3 * features, labels)["mimic"].abs() < 1e-30
    soft = eed_of(3 * logits, 3 * features, labels, output="kl", temperature=2.0)["mimic"]
    p = (logits[0] / 2).softmax(dim=1)
    assert_close(soft, -3 * 0.1 * 4 * (p * p.log()).sum(dim=1).mean())  # a cross-entropy keeps the entropy


def test_inactive_entries_count_for_nothing():
    one, other = torch.tensor([[-1.0, 2.0, -3.0]]), torch.tensor([[-2.0, 1.0, 1.0]])
    assert active_mse(one, other).item() == pytest.approx((0 + 1 + 16) / 3)


def loth_of(want, method, shapes=4):
    term = only(method, "hump")
    found = {f"stage{k}": (7, 4, 2, 2) for k in range(1, shapes + 1)}
    term.build(build_context(branch=lambda tap: nn.Identity(), **found, logits=(7, 8)))
    return term


def test_loth_is_the_authors_code(reference):
    want = reference("loth")
    method = loth(alpha=want["alpha"].item(), temperature=want["T"].item(), epsilon=want["eps"].item())
    term, exits = loth_of(want, method), leaves(want, "exit1", "exit2", "exit3", "exit4")
    term.branches, term.join = Fixed((exits, [])), Fixed(leaves(want, "fused")[0])
    weights, step = method.weights, step_context(exits[-1], want["targets"])
    loss = weights["task"] * step.cross_entropy(exits[-1]) + weights["hump"] * total(term.loss(step))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    grads_are(want, ["exit1", "exit2", "exit3", "exit4", "fused"])


def test_equal_logits_leave_nothing_to_imitate_and_alpha_of_one_weighs_all_alike():
    logits, labels = torch.randn(7, 8), torch.arange(7)
    method = loth(alpha=1.0)
    term = loth_of(None, method)
    term.branches, term.join = Fixed(([logits] * 4, [])), Fixed(logits)
    value = term.loss(step_context(logits, labels))
    assert value["mimic"].abs() < 1e-12
    assert_close(value["learn"], 4 * F.cross_entropy(logits, labels))
    assert method.weights["task"] == 1.0


def test_targets_are_detached():
    exits, fused = [torch.randn(7, 8).requires_grad_() for _ in range(4)], torch.randn(7, 8).requires_grad_()
    term = loth_of(None, loth())
    for reached, others in ((fused, exits), (exits[1], [fused, exits[0]])):
        only_one = term.imitate(reached, sum(others))
        found = torch.autograd.grad(only_one, [reached, *others], allow_unused=True)
        assert found[0] is not None
        assert all(each is None for each in found[1:])


@pytest.mark.parametrize(("exits", "most"), [(4, "1.189"), (3, "1.259")])
def test_a_growth_that_turns_a_label_weight_negative_is_refused(exits, most):
    with pytest.raises(UserError, match=re.escape(f"with {exits} exits") + f".*below 0; pass alpha={most} or less"):
        loth_of(None, loth(alpha=float(most) + 0.002), exits)
    loth_of(None, loth(alpha=float(most)), exits)


def dtskd_of(want, **options):
    settings = {"past": want["ce_weight"].item(), "label": want["cos_max"].item(), "temperature": want["T"].item()}
    term = only(dtskd(**settings, epsilon=want["eps"].item(), **options), "task")
    shapes = {f"stage{k}": (6, 4, 2, 2) for k in range(1, 5)}
    term.build(build_context(**shapes, embedding=(6, 5), logits=(6, 7)))
    heads = leaves(want, "logits", "branch1", "branch2", "branch3")
    term.branches = Fixed(heads[1:])
    return term, heads


def dtskd_step(term, heads, want, tables):
    at = Progress(*(each.double() for each in clock(want["epoch"].item(), want["epochs"].item())))
    features = {f"stage{k}": torch.zeros(6, 4, 2, 2) for k in range(1, 5)}
    named = dict(zip(term.weights, tables, strict=True))
    step = step_context(
        heads[0],
        want["targets"],
        embedding=torch.zeros(6, 5),
        features=features,
        index=want["index"],
        clock=at,
        memory=named,
    )
    value, updates = term(step)
    return value, memory.commit({"task": named}, {"task": updates})["task"]


def test_dtskd_is_the_authors_loss_with_the_memory_that_they_meant(reference):
    want = reference("dtskd")
    term, heads = dtskd_of(want)
    value, after = dtskd_step(term, heads, want, want["memory"].clone())
    total(value).backward()
    assert_close(total(value).detach(), want["loss"], **EXACT)
    assert_close(torch.stack([*after.values()]), want["memory_after_intended"], **EXACT)
    assert [*term.weights.values()] == want["weights"].tolist()
    grads_are(want, ["logits", "branch1", "branch2", "branch3"])


def test_in_the_first_epoch_the_past_is_the_label(reference):
    want = reference("dtskd")
    want["epoch"] = torch.tensor(0)
    term, heads = dtskd_of(want)
    value, _ = dtskd_step(term, heads, want, torch.zeros(4, 10, 7))
    near = total(value) - value["learn"]
    hard = sum(w * F.cross_entropy(each, want["targets"]) for w, each in zip((3, 1, 1, 1), heads, strict=True))
    assert_close(value["learn"], 0.2 * hard)
    t = want["T"]
    soft = [
        (heads[0] / t).softmax(dim=1) * ((heads[0] / t).log_softmax(dim=1) - (each / t).log_softmax(dim=1))
        for each in heads[1:]
    ]
    want_near = 0.8 * sum(each.sum(dim=1).mean() * t**2 for each in soft)
    assert_close(near, want_near, rtol=1e-4, atol=1e-4)


def test_a_detached_student_is_not_moved_by_its_branches(reference):
    want = reference("dtskd")
    grads = []
    for detach in (False, True):
        term, heads = dtskd_of(want, detach=detach)
        value, _ = dtskd_step(term, heads, want, want["memory"].clone())
        grads.append(torch.autograd.grad(total(value), heads))
    assert not torch.allclose(grads[0][0], grads[1][0])
    assert all(torch.equal(*pair) for pair in zip(grads[0][1:], grads[1][1:], strict=True))


def test_the_pyramid_fuses_from_the_deepest_down():
    pyramid = VectorPyramid([3, 4], 5, 7).eval()
    features, embedding = [torch.randn(6, 3, 4, 4), torch.randn(6, 4, 2, 2)], torch.randn(6, 5)
    deeper, want = embedding, []
    for k in (1, 0):
        above, lateral = pyramid.down[k](deeper), pyramid.lateral[k](features[k].mean(dim=(2, 3)))
        deeper = pyramid.fuse[k](torch.cat([above + lateral, above], dim=1))
        want = [pyramid.classify[k](deeper), *want]
    for one, other in zip(pyramid(features, embedding), want, strict=True):
        assert_close(one, other)
