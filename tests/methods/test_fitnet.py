import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.methods import fitnet
from tests.helpers.random_features import build, loss, tokens
from tests.helpers.step_contexts import only

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def features(want, case):
    """The first of a stream are the student's, the next, without their sign, the teacher's."""
    sizes = [tuple(want[f"{case}.feat_{side}_shape"].tolist()) for side in "st"]
    stream = torch.from_numpy(np.random.RandomState(int(want["seed"])).randn(10000))
    first, next_ = (int(np.prod(each)) for each in sizes)
    return stream[:first].reshape(sizes[0]), stream[first : first + next_].reshape(sizes[1]).abs()


@pytest.mark.parametrize("case", ["down2", "up2", "same", "valid"])
def test_it_is_the_published_loss(reference, case):
    want = reference("fitnet")
    student, hint = features(want, case)
    own, theirs = {"stage2": student.requires_grad_()}, {"stage3": hint}
    term = build(only(fitnet(hint="stage3"), "hint"), own, theirs)
    prefix = f"{case}.param."
    given = {key.removeprefix(prefix): each for key, each in want.items() if key.startswith(prefix)}
    assert not term.regress.load_state_dict(given, strict=False).unexpected_keys
    found = loss(term, own, theirs)
    found.backward()
    assert_close(found.detach(), want[f"{case}.loss_kd"], **EXACT)
    assert_close(student.grad[::2], want[f"{case}.grad_feat_s_of_every_2nd_row"], **EXACT)
    for name, each in term.regress.named_parameters():
        assert_close(each.grad, want[f"{case}.grad_param.{name}"], **EXACT)
    assert only(fitnet(), "hint").weight == want["beta"]


def test_a_larger_hint_is_averaged_down():
    own, theirs = {"stage2": tokens(0, 8, 3, 4, 4)}, {"stage2": tokens(1, 8, 5, 7, 7)}
    term = build(only(fitnet(), "hint"), own, theirs)
    small = nn.functional.adaptive_avg_pool2d(theirs["stage2"], 4)
    assert_close(loss(term, own, theirs), loss(term, own, {"stage2": small}))


@pytest.mark.parametrize(("has", "wanted"), [(16, 16), (16, 8), (8, 16), (17, 16), (5, 16)])
def test_tokens_are_a_column(has, wanted):
    own, theirs = {"stage2": tokens(0, 8, has, 3)}, {"stage2": tokens(1, 8, wanted, 5)}
    term = build(only(fitnet(), "hint"), own, theirs)
    shown = term.regress(own["stage2"].transpose(1, 2)[..., None])
    assert shown.shape == (8, 5, min(wanted, 2 * has if 2 * has == wanted else has), 1)
    assert loss(term, own, theirs).isfinite()


def test_the_hint_gets_no_gradient():
    own, theirs = {"stage2": tokens(0, 8, 3, 4, 4)}, {"stage2": tokens(1, 8, 5, 4, 4).requires_grad_()}
    loss(build(only(fitnet(), "hint"), own, theirs), own, theirs).backward()
    assert theirs["stage2"].grad is None


KINDS = {"map": (8, 3, 4, 4), "volume": (8, 3, 2, 4, 4), "tokens": (8, 9, 3), "vector": (8, 3)}


@pytest.mark.parametrize("hint", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_two_kinds_of_features_compare(kind, hint):
    own, theirs = {"stage2": tokens(0, *KINDS[kind]).requires_grad_()}, {"stage2": tokens(1, *KINDS[hint])}
    loss(build(only(fitnet(), "hint"), own, theirs), own, theirs).backward()
    assert own["stage2"].grad.isfinite().all()
    assert own["stage2"].grad.abs().max() > 0


def test_a_larger_volume_is_averaged_down():
    own, theirs = {"stage2": tokens(0, 8, 3, 2, 4, 4)}, {"stage2": tokens(1, 8, 5, 3, 7, 7)}
    term = build(only(fitnet(), "hint"), own, theirs)
    small = nn.functional.adaptive_avg_pool3d(theirs["stage2"], (2, 4, 4))
    assert_close(loss(term, own, theirs), loss(term, own, {"stage2": small}))
