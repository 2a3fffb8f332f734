"""Methods of several networks: their published losses, through the terms that training uses."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.methods import codistillation, dml, kdcl
from selfdistill.methods.kdcl import TARGETS
from tests.helpers.step_contexts import clock, only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-11}


@pytest.mark.parametrize(("file", "detach"), [("dml_detached_mclokd", True), ("dml_pairwise", False)])
def test_dml_is_published_code(reference, file, detach):
    want = reference(file)
    logits = want["logits"].requires_grad_()  # [B, C, m]
    first, *others = logits.unbind(dim=2)
    term = only(dml(networks=3, temperature=want["temperature"].item(), detach=detach), "mutual")
    views = {f"peer{k}": each for k, each in enumerate(others, start=1)}
    value = term.loss(step_context(first, want["targets"], views=views))
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


def test_codistillation_reverse_is_the_artefacts(reference):
    want = reference("codistillation_kl_divergence")
    logits = want["logits"].requires_grad_()
    term = only(codistillation(divergence="reverse", weight=want["weight"].item()), "codistillation")
    loss = F.cross_entropy(logits, want["targets"]) + term.divergence(logits, want["peer_logits"])
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)


def test_codistillation_by_hand_and_off_during_the_burn_in():
    logits, peer, stale, own = torch.randn(4, 5, 3, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1])
    term = only(codistillation(burn_in=0.4, weight=2.0), "codistillation")
    views = {"peer1": peer, "stale_peer": stale, "stale_student": own}
    got = {at: term.loss(step_context(logits, labels, views=views, clock=clock(progress=at))) for at in (0.39, 0.4)}
    gaps = 0.0
    for one, other in ((logits, stale), (peer, own)):
        gaps -= sum(other[b].softmax(0) @ one[b].log_softmax(0) for b in range(5)) / 5
    assert got[0.39]["mimic"] == 0
    assert_close(got[0.4]["mimic"], 2 * gaps)
    assert_close(got[0.4]["learn"], F.cross_entropy(peer, labels))
