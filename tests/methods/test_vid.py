import pytest
import torch
from torch.testing import assert_close

from selfdistill.methods import vid
from tests.helpers.random_features import build, drawn, loss, tokens
from tests.helpers.step_contexts import only

EXACT = {"rtol": 1e-9, "atol": 1e-13}


def given(term, want):
    prefix = "param."
    state = {key.removeprefix(prefix): each for key, each in want.items() if key.startswith(prefix)}
    term.guesses.load_state_dict(state)
    return term


def test_it_is_the_published_loss(reference):
    want = reference("vid")
    own, theirs = drawn(want["seed"])
    term = given(build(only(vid(), "information"), own, theirs), want)
    found = loss(term, own, theirs)
    found.backward()
    assert_close(found.detach(), want["loss_kd"], **EXACT)
    for name, stage in own.items():
        guess = term.guesses[int(name[-1]) - 1]
        assert_close(guess(stage, theirs[name]).detach(), want["per_stage"][int(name[-1]) - 1], **EXACT)
        assert_close(stage.grad, want[f"grad_feat_s{name[-1]}"], **EXACT)
    for name, each in term.guesses.named_parameters():
        assert_close(each.grad, want[f"grad_param.{name}"], **EXACT)


def test_it_starts_from_the_published_variance(reference):
    want = reference("vid")
    own, theirs = drawn(want["seed"])
    term = only(vid(variance=want["init_pred_var"].item()), "information")
    scale = build(term, own, theirs).guesses[0].log_scale
    assert_close(scale.detach(), want["log_scale_at_init"].expand(9), rtol=1e-6, atol=0)  # made in float32


def test_it_is_the_gaussians_negative_log_likelihood():
    student, teacher = tokens(0, 4, 3, 2, 2), tokens(1, 4, 5, 2, 2)
    term = build(only(vid(variance=0.7), "information"), {"stage1": student}, {"stage1": teacher})
    guess = term.guesses[0].regressor(student)
    want = torch.nn.functional.gaussian_nll_loss(guess, teacher, torch.full_like(guess, 0.7))
    assert_close(term.guesses[0](student, teacher), want, rtol=1e-6, atol=0)


@pytest.mark.parametrize("scale", [-200.0, 200.0])
def test_extreme_variances_stay_finite(scale):
    own, theirs = ({"stage1": tokens(seed, 4, 3, 5)} for seed in range(2))
    term = build(only(vid(), "information"), own, theirs).float()
    term.guesses[0].log_scale.data.fill_(scale)
    found = loss(term, *({name: each.float() for name, each in side.items()} for side in (own, theirs)))
    found.backward()
    assert found.isfinite()
    assert all(each.grad.isfinite().all() for each in term.parameters())


def test_a_map_beside_tokens():
    own, theirs = {"stage1": tokens(0, 4, 9, 5)}, {"stage1": tokens(1, 4, 7, 3, 3)}
    term = build(only(vid(), "information"), own, theirs)
    rows = {"stage1": theirs["stage1"].flatten(2).transpose(1, 2)}
    assert_close(loss(term, own, theirs), loss(term, own, rows))
