"""Methods of several networks: their published losses, through the terms that training uses."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.methods import codistillation, dml, kdcl
from selfdistill.methods.kdcl import TARGETS, linear
from tests.showing import clock, only, seen, total

EXACT = {"rtol": 1e-9, "atol": 1e-11}


@pytest.mark.parametrize(("file", "detach"), [("dml_detached_mclokd", True), ("dml_pairwise", False)])
def test_dml_is_published_code(reference, file, detach):
    want = reference(file)
    logits = want["logits"].requires_grad_()  # [B, C, m]
    first, *others = logits.unbind(dim=2)
    term = only(dml(networks=3, temperature=want["temperature"].item(), detach=detach), "mutual")
    views = {f"peer{k}": each for k, each in enumerate(others, start=1)}
    value = term.loss(seen(first, want["targets"], views=views))
    loss = F.cross_entropy(first, want["targets"]) + total(value)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)


def test_kdcl_minlogit_is_the_third_partys(reference):
    want = reference("kdcl_minlogit_thirdparty")
    logits = want["logits_mxBxK"].requires_grad_()
    term = only(kdcl(temperature=want["temperature"].item()), "collaboration")
    loss = term.imitation(list(logits), want["targets"])
    loss.backward()
    assert_close(TARGETS["minlogit"](logits.detach(), want["targets"]), want["target_logits"], **EXACT)
    assert_close(loss.detach(), want["loss_kd_sum"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)


def test_kdcl_naive_takes_the_better_network_row_by_row():
    logits, labels = torch.randn(2, 6, 4), torch.randint(0, 4, (6,))
    got = TARGETS["naive"](logits, labels)
    for b in range(6):
        losses = [-each[b].log_softmax(0)[labels[b]] for each in logits]
        assert torch.equal(got[b], logits[int(losses[1] < losses[0]), b])


def test_kdcl_linear_is_better_than_each_and_than_the_mean():
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (40,), generator=draws)
    logits = torch.randn(2, 40, 4, generator=draws) + 2 * F.one_hot(labels, 4) * torch.tensor([1.0, 0.2])[:, None, None]
    got = F.cross_entropy(linear(logits, labels), labels)
    shares = torch.linspace(0, 1, 201)
    best = min(F.cross_entropy(share * logits[0] + (1 - share) * logits[1], labels) for share in shares)
    assert_close(got, best, atol=0.01, rtol=0)


def test_codistillation_reverse_is_the_artefacts(reference):
    want = reference("codistillation_kl_divergence")
    logits = want["logits"].requires_grad_()
    term = only(codistillation(divergence="reverse", weight=want["weight"].item()), "codistillation")
    loss = F.cross_entropy(logits, want["targets"]) + term.imitate(logits, want["peer_logits"])
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)


def test_codistillation_by_hand_and_off_during_the_burn_in():
    logits, peer, stale, own = torch.randn(4, 5, 3, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1])
    term = only(codistillation(burn_in=0.4, weight=2.0), "codistillation")
    views = {"peer1": peer, "stale_peer": stale, "stale_student": own}
    got = {at: term.loss(seen(logits, labels, views=views, clock=clock(progress=at))) for at in (0.39, 0.4)}
    gaps = 0.0
    for one, other in ((logits, stale), (peer, own)):
        gaps -= sum(other[b].softmax(0) @ one[b].log_softmax(0) for b in range(5)) / 5
    assert got[0.39]["mimic"] == 0
    assert_close(got[0.4]["mimic"], 2 * gaps)
    assert_close(got[0.4]["learn"], F.cross_entropy(peer, labels))
