import pytest
import torch
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import gram_loss
from selfdistill.methods import sp
from selfdistill.terms import ModelOutputs
from tests.helpers.step_contexts import build_context, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-14}
SHAPES = {"stage1": (6, 4, 4, 4), "stage2": (6, 6, 2, 2), "stage3": (6, 8, 1, 1)}


def features(seed=0, dtype=torch.float64):
    draws = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draws, dtype=dtype) for name, shape in SHAPES.items()}


def value(term, own, theirs=None):
    views = {} if theirs is None else {"teacher": ModelOutputs(torch.zeros(6, 3), None, theirs)}
    return term.loss(step_context(torch.zeros(6, 3), torch.arange(6) % 3, features=own, views=views))


def test_with_a_teacher_it_is_the_published_loss(reference):
    want = reference("sp")
    student = want["feat_s"].requires_grad_()
    term = only(sp(teacher="given", weight=want["beta"].item()), "alike")
    term.build(
        build_context(stage1=(8, 4, 4, 4), stage2=student.shape, views={"teacher": {"stage3": want["feat_t"].shape}})
    )
    logits, labels = torch.zeros(8, 3), torch.zeros(8, dtype=torch.long)
    views = {"teacher": ModelOutputs(logits, None, {"stage3": want["feat_t"]})}
    loss = term.loss(step_context(logits, labels, features={"stage2": student}, views=views))
    loss.backward()
    assert_close(loss.detach(), want["loss_kd"], **EXACT)
    assert_close(student.grad, want["grad_feat_s"], **EXACT)
    assert term.weight == 3000


def test_embeddings_compare_alike(reference):
    want = reference("sp")
    student = want["embed_s"].requires_grad_()
    loss = gram_loss(student, want["embed_t"])
    loss.backward()
    assert_close(loss.detach(), want["loss_embed"], **EXACT)
    assert_close(student.grad, want["grad_embed_s"], **EXACT)


@pytest.mark.parametrize(
    ("pairs", "matched"),
    [
        ("adjacent", [("stage1", "stage2"), ("stage2", "stage3")]),
        ("last", [("stage1", "stage3"), ("stage2", "stage3")]),
    ],
)
def test_within_one_network_shallow_imitates_deep(pairs, matched):
    maps = {name: each.requires_grad_() for name, each in features().items()}
    term = only(sp(pairs=pairs), "alike")
    term.build(build_context(**SHAPES))
    loss = value(term, maps)
    loss.backward()
    assert_close(loss, sum(gram_loss(maps[shallow], maps[deep]) for shallow, deep in matched))
    assert maps["stage3"].grad is None
    assert maps["stage1"].grad.abs().max() > 0
    assert not sp().teachers
    assert sp(teacher="given").teachers == ("teacher",)


def test_scale_of_a_side_does_not_matter():
    maps = features()
    assert_close(gram_loss(1e3 * maps["stage1"], 1e-3 * maps["stage2"]), gram_loss(maps["stage1"], maps["stage2"]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fill", [0.0, 1e-30, 1e15])
def test_degenerate_rows_keep_a_small_gradient(dtype, fill):
    own, deep = (features(seed, dtype)["stage2"] for seed in range(2))
    own[0], own[2] = fill, own[1]
    own.requires_grad_()
    loss = gram_loss(own, deep)
    loss.backward()
    assert loss.isfinite()
    assert own.grad.isfinite().all()
    assert own.grad.abs().max() < 10  # the published code gives 1e10 here


def test_one_stage_is_not_enough():
    with pytest.raises(UserError, match="compares stages with one another, but found 1; give it a teacher"):
        only(sp(), "alike").build(build_context(stage1=(6, 4, 4, 4)))


def test_gradient_check():
    own = features()["stage2"].requires_grad_()
    assert torch.autograd.gradcheck(lambda f: gram_loss(f, features(1)["stage1"]), own)
