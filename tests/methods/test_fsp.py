import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import flow_matrix
from selfdistill.methods import fsp
from tests.helpers.random_features import build, loss, padded, tokens
from tests.helpers.step_contexts import clock, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def stages(*features):
    return {f"stage{k}": each for k, each in enumerate(features, 1)}


def flow(own, theirs, **options):
    term = build(only(fsp(**options), "flow"), own, theirs)
    return loss(term, own, theirs)


def test_it_is_the_published_loss(reference):
    want = reference("fsp")
    own = stages(*(want[f"feat{k}"].requires_grad_() for k in (1, 2, 3)))
    theirs = stages(*(want[f"teacher_feat{k}"] for k in (1, 2, 3)))
    found = flow(own, theirs)
    found.backward()
    assert_close(found.detach(), want["loss"], **EXACT)
    for k in (1, 2, 3):
        assert_close(own[f"stage{k}"].grad, want[f"grad_feat{k}"], **EXACT)
        if k < 3:
            pair = own[f"stage{k}"].detach(), own[f"stage{k + 1}"].detach()
            assert_close(flow_matrix(*pair), want[f"fsp{k}"], **EXACT)


def test_signs_cancel_and_scales_count_twice():
    own, other = (
        stages(torch.randn(4, 3, 4, 4), torch.randn(4, 5, 2, 2)),
        stages(tokens(0, 4, 3, 4, 4), tokens(1, 4, 5, 2, 2)),
    )
    assert flow(own, own) == 0
    assert flow(own, {name: -each for name, each in own.items()}) == 0
    assert flow(own, other) > 0
    one, deep = own.values()
    assert_close(flow_matrix(3 * one, 3 * deep), 9 * flow_matrix(one, deep))


def test_absent_tokens_do_not_count():
    one, deep = tokens(0, 4, 6, 3), tokens(1, 4, 6, 5)
    assert_close(flow_matrix(padded(one), padded(deep)), flow_matrix(one, deep))


def test_other_widths_are_refused():
    own, theirs = (
        stages(torch.randn(4, 3, 4, 4), torch.randn(4, 5, 2, 2)),
        stages(tokens(0, 4, 3, 4, 4), tokens(1, 4, 6, 2, 2)),
    )
    with pytest.raises(
        UserError, match=r"have \[\(3, 3\), \(5, 6\)\]; take a teacher of the student's widths, or fitnet"
    ):
        flow(own, theirs)


def test_alone_it_comes_first_and_labels_later():
    own, theirs = (
        stages(torch.randn(8, 3, 4, 4), torch.randn(8, 5, 2, 2)),
        stages(tokens(0, 8, 3, 4, 4), tokens(1, 8, 5, 2, 2)),
    )
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    method = fsp(alone=2.0)
    task, term = only(method, "task"), build(only(method, "flow"), own, theirs)
    for epoch, late in ((0, 0), (1, 0), (2, 1), (7, 1)):
        at = clock(epoch)
        assert_close(task.loss(step_context(logits, labels, clock=at)), late * F.cross_entropy(logits, labels))
        assert_close(loss(term, own, theirs, clock=at), (1 - late) * flow(own, theirs))
    assert fsp().task is None
