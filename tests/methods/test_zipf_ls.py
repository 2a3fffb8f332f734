import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import position_votes, shared_ranks, zipf_kl, zipf_weights
from selfdistill.methods import zipf_ls
from tests.helpers.step_contexts import build_context, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def one_hot_tokens(votes, classes):
    """Tokens that an identity classifies as these classes. [B, P] -> [B, P, C]."""
    return F.one_hot(votes, classes).double()


def context(want, logits, votes=None):
    classes = logits.shape[1]
    features = {"stage-1": one_hot_tokens(want["votes"] if votes is None else votes, classes)}
    return step_context(logits, want["targets"], features=features, classifier=lambda rows: rows)


def test_it_is_the_published_loss(reference):
    want = reference("zipf_ls")
    logits, shallow = want["logits"].requires_grad_(), want["aux_logits"].requires_grad_()
    method, step = zipf_ls(weight=want["lamda"].item()), context(want, logits)
    zipf = only(method, "zipf").loss(step)
    # the head on a shallower stage, off by default in the published code and absent here, enters by its label loss
    loss = method.weights["zipf"] * zipf + step.cross_entropy(logits) + want["alpha"] * step.cross_entropy(shallow)
    loss.backward()
    assert_close(zipf.detach(), want["zipf"], **EXACT)
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    assert_close(shallow.grad, want["grad_aux_logits"], **EXACT)


def test_ranks_by_logits_are_the_published_ones(reference):
    want = reference("zipf_ls")
    logits = want["logits"].requires_grad_()
    loss = only(zipf_ls(votes="logits"), "zipf").loss(step_context(logits, want["targets"]))
    loss.backward()
    assert_close(loss.detach(), want["zipf_from_logits"], **EXACT)
    assert_close(logits.grad, want["grad_from_logits_logits"], **EXACT)


def test_shares_are_the_published_ones(reference):
    want = reference("zipf_ls")
    votes = position_votes(one_hot_tokens(want["votes"], 8), lambda rows: rows)
    assert_close(zipf_weights(shared_ranks(votes), want["targets"]), want["target_shares"], **EXACT)
    assert_close(want["target_shares"].sum(dim=1), torch.ones(6), **EXACT)


def test_equal_votes_share_a_rank_as_the_plain_loop_says():
    scores = torch.randint(0, 3, (20, 6)).double()
    want = [[1 + sum(other > each for other in row) for each in row] for row in scores.tolist()]
    assert shared_ranks(scores).tolist() == want
    assert torch.equal(shared_ranks(scores), shared_ranks(scores.exp()))
    even = zipf_weights(shared_ranks(torch.ones(2, 5)), torch.tensor([0, 3]))
    assert_close(even, torch.full((2, 4), 0.25), **EXACT)


def test_no_gradient_reaches_the_true_class_or_the_votes():
    logits, labels = torch.randn(4, 5).requires_grad_(), torch.tensor([0, 1, 2, 4])
    features = torch.randn(4, 5, 3, 3).requires_grad_()
    step = step_context(logits, labels, features={"stage-1": features}, classifier=lambda rows: rows)
    only(zipf_ls(), "zipf").loss(step).backward()
    assert torch.equal(logits.grad.gather(1, labels[:, None]), torch.zeros(4, 1))
    assert features.grad is None


def test_maps_are_enlarged_before_they_vote():
    maps = torch.randn(2, 4, 3, 5)
    large = F.interpolate(maps, size=(6, 10), mode="bilinear", align_corners=False).argmax(dim=1).flatten(1)
    want = torch.stack([row.bincount(minlength=4) for row in large]).double()
    assert torch.equal(position_votes(maps, lambda rows: rows), want)


def test_absent_tokens_do_not_vote():
    tokens = torch.tensor([[[0.0, 2.0], [3.0, 1.0], [0.0, 0.0]]])
    assert position_votes(tokens, lambda rows: rows).tolist() == [[1.0, 1.0]]


def test_masked_rows_are_those_that_are_wrong():
    logits, ranks = torch.randn(6, 4), torch.rand(6, 4) + 1
    labels = (logits.argmax(dim=1) + torch.tensor([0, 1, 0, 2, 0, 3])) % 4
    right = logits.argmax(dim=1) == labels
    assert right.sum() == 3
    assert_close(zipf_kl(logits, ranks, labels, right), zipf_kl(logits[right], ranks[right], labels[right]))
    wrong = (logits.argmax(dim=1) + 1) % 4
    assert only(zipf_ls(votes="logits", mask=True), "zipf").loss(step_context(logits, wrong)) == 0


@pytest.mark.parametrize("shape", [(4, 8, 1, 1), (4, 12, 2, 2), (4, 8), (4, 1, 8)])
def test_positions_that_the_classifier_cannot_read_are_refused_with_the_way_out(shape):
    shapes = {"stage-1": shape, "embedding": (4, 8), "logits": (4, 5)}
    with pytest.raises(UserError, match=r"'stage-1' gives .* reads 8 channels; pass zipf_ls\(votes='logits'\)"):
        only(zipf_ls(), "zipf").build(build_context(**shapes))
    only(zipf_ls(votes="logits"), "zipf").build(build_context(**shapes))
    only(zipf_ls(), "zipf").build(build_context(**shapes | {"stage-1": (4, 8, 2, 2)}))
