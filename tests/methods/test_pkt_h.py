import pytest
import torch
from torch.testing import assert_close

from selfdistill.functional import information_flow, jeffreys
from selfdistill.functional.information_flow import cosine_neighbors, near_neighbors
from selfdistill.methods import pkt_h
from selfdistill.terms import ModelOutputs
from tests.helpers.step_contexts import build_context, clock, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}
INNER = ("1", "2", "3")


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def maps(rows):
    """Maps with these means. [B, D] -> [B, D, 2, 2]."""
    around = torch.randn(*rows.shape, 2, 2)
    return rows[:, :, None, None] + around - around.mean(dim=(2, 3), keepdim=True)


def flow(own, theirs, epoch=0, **options):
    """The term's loss for stages 1 to 3 and embeddings, [B, D] each."""
    term = only(pkt_h(**options), "flow")
    own_maps, their_maps = ({f"stage{k}": maps(each) for k, each in enumerate(rows, 1)} for rows in (own, theirs))
    shapes = {name: each.shape for name, each in own_maps.items()}
    views = {"teacher": {name: each.shape for name, each in their_maps.items()}}
    term.build(build_context(views=views, **shapes, embedding=own[-1].shape, logits=(len(own[0]), 3)))
    rows = len(own[0])
    teacher = ModelOutputs(torch.zeros(rows, 3), theirs[-1], their_maps)
    at = clock(epoch)._replace(epoch=torch.tensor(float(epoch)))
    step = step_context(
        torch.zeros(rows, 3),
        torch.zeros(rows).long(),
        embedding=own[-1],
        features=own_maps,
        views={"teacher": teacher},
        clock=at,
    )
    return term.loss(step)


def test_it_is_the_published_loss(reference):
    want = reference("pkt_h")
    own = [want[f"feat{k}"].requires_grad_() for k in (1, 2, 3, 4)]
    theirs = [want[f"teacher_feat{k}"] for k in (1, 2, 3, 4)]
    options = {"inner": want["init_weight"].item(), "decay": want["decay"].item()}
    loss = flow(own, theirs, want["epoch"].item(), **options)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    for k, each in enumerate(own, 1):
        assert_close(each.grad, want[f"grad_feat{k}"], **EXACT)
    layers = torch.stack([information_flow(*pair) for pair in zip(own, theirs, strict=True)]).detach()
    assert_close(layers.flip(0), want["per_layer"], **EXACT)


def test_equal_and_turned_rows_have_no_distance():
    rows, turn = torch.randn(6, 4), torch.linalg.qr(torch.randn(4, 4)).Q
    assert information_flow(rows, rows) == 0
    assert information_flow(rows, rows @ turn).abs() < 1e-12
    assert information_flow(rows, torch.randn(6, 5)) > 1e-5


def test_it_is_symmetric_and_ignores_the_order_of_the_batch():
    one, other, order = torch.randn(6, 4), torch.randn(6, 5), torch.randperm(6)
    assert_close(information_flow(one, other), information_flow(other, one))
    assert_close(information_flow(one[order], other[order]), information_flow(one, other))
    for neighbors in (cosine_neighbors, near_neighbors):
        assert_close(neighbors(one).sum(dim=1), torch.ones(6))
        assert_close(jeffreys(neighbors(one), neighbors(other)), jeffreys(neighbors(other), neighbors(one)))


def test_inner_stages_fade():
    own, theirs = [torch.randn(6, 4) for _ in range(3)], [torch.randn(6, 5) for _ in range(3)]
    last = flow(own, theirs, inner=0.0)
    inner = [(flow(own, theirs, epoch, decay=0.5) - last).item() for epoch in range(3)]
    assert inner[1] == pytest.approx(inner[0] / 2)
    assert inner[2] == pytest.approx(inner[0] / 4)


@pytest.mark.parametrize("fill", [0.0, 1e-30])
def test_degenerate_rows_stay_finite(fill):
    student, teacher = torch.randn(6, 4), torch.randn(6, 5)
    student[0], student[2], student[3], teacher[1] = fill, student[1], -student[1], fill
    loss = information_flow(student.requires_grad_(), teacher)
    loss.backward()
    assert loss.isfinite()
    assert student.grad.isfinite().all()
