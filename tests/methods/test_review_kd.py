import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from selfdistill.functional import hcl_loss
from selfdistill.methods import review_kd
from selfdistill.terms import ModelOutputs
from tests.helpers.random_features import shapes, tokens
from tests.helpers.step_contexts import build_context, clock, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-13}


def built(own, theirs, **options):
    term = only(review_kd(**options), "review")
    named = [{**shapes(side[0]), "embedding": tuple(side[1].shape)} for side in (own, theirs)]
    torch.manual_seed(0)
    term.build(build_context(**named[0], views={"teacher": named[1]}))
    return term.double()


def value(term, own, theirs, at=None):
    rows = len(own[1])
    logits, labels = torch.zeros(rows, 3, dtype=torch.float64), torch.zeros(rows).long()
    views = {"teacher": ModelOutputs(logits, theirs[1], theirs[0])}
    return term.loss(step_context(logits, labels, embedding=own[1], features=own[0], views=views, clock=at or clock()))


def sides():
    own = {"stage1": tokens(0, 6, 4, 8, 8), "stage2": tokens(1, 6, 5, 4, 4)}, tokens(2, 6, 5)
    theirs = {"stage1": tokens(3, 6, 9, 8, 8), "stage2": tokens(4, 6, 7, 4, 4)}, tokens(5, 6, 7)
    return own, theirs


class Given(nn.Module):
    """In a fusion's place: the level as it is."""

    def forward(self, own, deeper, size):
        return own, own


def test_the_distance_is_the_published_loss(reference):
    want = reference("reviewkd_hcl")
    own, theirs = ([want[f"{side}_{k}"] for k in range(4)] for side in ("student", "teacher"))
    own = [each.requires_grad_() for each in own]
    names = ["stage1", "stage2", "stage3"]
    as_side = [(dict(zip(names, levels, strict=False)), levels[3].flatten(1)) for levels in (own, theirs)]
    term = built(*as_side, warmup=0)
    term.fusions = nn.ModuleList(Given() for _ in own)
    loss = value(term, *as_side)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    for k, each in enumerate(own):
        assert_close(each.grad, want[f"grad_student_{k}"], **EXACT)


def test_levels_are_fused_from_the_deepest_up():
    own, theirs = sides()
    term = built(own, theirs, width=3, warmup=0)
    one, two, last = term.fusions
    guess, residual = last(own[1][:, :, None, None], None, (1, 1))
    want = F.mse_loss(guess, theirs[1][:, :, None, None])
    for fuse, name in ((two, "stage2"), (one, "stage1")):
        guess, residual = fuse(own[0][name], residual, theirs[0][name].shape[2:])
        want = want + hcl_loss(guess, theirs[0][name])
    assert_close(value(term, own, theirs), want)
    assert last.att_conv is None
    assert residual.shape == (6, 3, 8, 8)


def test_it_grows_with_the_epochs():
    own, theirs = sides()
    term = built(own, theirs, warmup=4)
    full = value(term, own, theirs, clock(epochs=20, progress=0.5))
    assert term.uses_progress
    assert full > 0
    assert value(term, own, theirs, clock(epochs=20, progress=0.0)) == 0
    assert_close(value(term, own, theirs, clock(epochs=20, progress=0.1)), full / 2)


@pytest.mark.parametrize(
    "kinds", ["tokens", "map and tokens", "sizes", "depths", "volumes", "volumes and tokens", "vectors"]
)
def test_other_shapes_compare(kinds):
    own, theirs = sides()
    match kinds:
        case "tokens":
            own = {"stage1": tokens(0, 6, 9, 4)}, own[1]
            theirs = {"stage1": tokens(3, 6, 9, 7)}, theirs[1]
        case "map and tokens":
            theirs = {name: tokens(3, 6, 17, 7) for name in theirs[0]}, theirs[1]
        case "sizes":
            theirs = {"stage1": tokens(3, 6, 9, 7, 7), "stage2": tokens(4, 6, 7, 14, 14)}, theirs[1]
        case "depths":
            own = {"stage1": own[0]["stage1"]}, own[1]
        case "volumes":
            own = {"stage1": tokens(0, 6, 4, 2, 8, 8), "stage2": tokens(1, 6, 5, 1, 4, 4)}, own[1]
            theirs = {"stage1": tokens(3, 6, 9, 4, 8, 8), "stage2": tokens(4, 6, 7, 2, 4, 4)}, theirs[1]
        case "volumes and tokens":
            own = {"stage1": tokens(0, 6, 4, 2, 8, 8), "stage2": tokens(1, 6, 9, 5)}, own[1]
            theirs = {"stage1": tokens(3, 6, 9, 2, 4, 4), "stage2": tokens(4, 6, 9, 7)}, theirs[1]
        case "vectors":
            own = {"stage1": tokens(0, 6, 4), "stage2": tokens(1, 6, 5)}, own[1]
            theirs = {"stage1": tokens(3, 6, 9), "stage2": tokens(4, 6, 7)}, theirs[1]
    term = built(own, theirs)
    assert len(term.fusions) == 1 + min(len(own[0]), len(theirs[0]))
    loss = value(term, own, theirs, clock(progress=1.0))
    loss.backward()
    assert loss > 0
    assert all(each.grad is not None for each in term.parameters())
