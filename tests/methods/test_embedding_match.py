"""EmbedDistill and UCIR's less-forget: the embedding near to, or in the direction of, another network's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import cosine_logits
from selfdistill.methods import embed_distill, less_forget
from tests.helpers.random_features import embedded
from tests.helpers.step_contexts import build_context, only

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def built(method, name, own, theirs):
    term = only(method, name)
    term.build(build_context(embedding=own.shape, views={"teacher": {"embedding": theirs.shape}}))
    return term


@pytest.mark.parametrize("distance", ["l2", "cosine", "mse"])
def test_each_distance_is_the_published_one(reference, distance):
    want = reference("embed_distill")
    embedding = want["embedding"].requires_grad_()
    term = built(embed_distill(distance=distance), "embedding", embedding, want["teacher_embedding"])
    term.project.weight, term.project.bias = nn.Parameter(want["weight"]), nn.Parameter(want["bias"])
    found = embedded(term, embedding, want["teacher_embedding"])
    found.backward()
    assert_close(found.detach(), want[distance], **EXACT)
    if distance == "l2":
        assert_close(embedding.grad, want["grad_embedding"], **EXACT)
        assert_close(term.project.weight.grad, want["grad_weight"], **EXACT)
        assert_close(term.project.bias.grad, want["grad_bias"], **EXACT)
    if distance == "cosine":
        assert_close(embedding.grad, want["grad_cosine_embedding"], **EXACT)


def test_equal_embeddings_have_no_distance_and_a_finite_gradient():
    rows = torch.randn(6, 4).requires_grad_()
    term = built(embed_distill(), "embedding", rows, rows)
    nn.init.eye_(term.project.weight), nn.init.zeros_(term.project.bias)
    found = embedded(term, rows, rows.detach().clone())
    found.backward()
    assert found < 1e-7
    assert torch.equal(rows.grad, torch.zeros(6, 4))


def test_less_forget_is_the_published_loss(reference):
    want = reference("less_forget")
    embedding, weight, sigma = (want[key].requires_grad_() for key in ("embedding", "weight", "sigma"))
    method = less_forget(weight=want["lamda"].item())
    term = built(method, "direction", embedding, want["reference_embedding"])
    near = method.weights["direction"] * embedded(term, embedding, want["reference_embedding"])
    logits = sigma * cosine_logits(embedding, weight)
    loss = near + F.cross_entropy(logits, want["targets"])
    loss.backward()
    assert_close(near.detach(), want["less_forget"], **EXACT)
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.detach(), want["logits"], **EXACT)
    for name, each in (("embedding", embedding), ("weight", weight), ("sigma", sigma)):
        assert_close(each.grad, want[f"grad_{name}"], **EXACT)


def test_a_scale_is_free_and_the_gradient_turns_only():
    rows, other = torch.randn(6, 4).requires_grad_(), torch.randn(6, 4)
    term = built(less_forget(), "direction", rows, other)
    found = embedded(term, rows, other)
    assert_close(embedded(term, rows * (torch.rand(6, 1) + 0.1), 3 * other), found)
    assert embedded(term, 2 * other, other).abs() < 1e-12
    (grad,) = torch.autograd.grad(found, rows)
    assert_close((grad * rows).sum(dim=1), torch.zeros(6))


def test_less_forget_wants_equal_widths():
    with pytest.raises(
        UserError, match=r"has 4 and the teacher's 5; take a teacher of the same width, or embed_distill"
    ):
        built(less_forget(), "direction", torch.randn(6, 4), torch.randn(6, 5))
