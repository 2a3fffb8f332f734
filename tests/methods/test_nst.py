import pytest
import torch
from torch.testing import assert_close

from selfdistill.methods import nst
from tests.helpers.random_features import build, drawn, loss, padded, tokens
from tests.helpers.step_contexts import only

EXACT = {"rtol": 1e-9, "atol": 1e-14}


def gap(student, teacher):
    return only(nst(), "selectivity").compare(student, teacher)


def test_it_is_the_published_loss(reference):
    want = reference("nst")
    own, theirs = drawn(want["seed"])
    term = build(only(nst(), "selectivity"), own, theirs)
    found = loss(term, own, theirs)
    found.backward()
    assert_close(found.detach(), want["loss_kd"], **EXACT)
    for name, stage in own.items():
        assert_close(gap(stage, theirs[name]).detach(), want["per_stage"][int(name[-1]) - 1], **EXACT)
        assert_close(stage.grad, want[f"grad_feat_s{name[-1]}"], **EXACT)
    assert term.weight == want["beta"]


def test_it_is_the_squared_distance_of_mean_outer_products():
    student, teacher = tokens(0, 3, 4, 3, 3), tokens(1, 3, 7, 3, 3)

    def mean_outer(maps):
        rows = torch.nn.functional.normalize(maps.flatten(2), dim=2)
        return rows.transpose(1, 2) @ rows / rows.shape[1]

    want = (mean_outer(student) - mean_outer(teacher)).square().sum(dim=(1, 2)).mean()
    assert_close(gap(student, teacher), want)


def test_order_and_scale_of_channels_do_not_matter():
    student, teacher = tokens(0, 3, 4, 3, 3), tokens(1, 3, 7, 3, 3)
    moved = student[:, [2, 0, 3, 1]] * torch.tensor([0.1, 1.0, -5.0, 2.0]).double()[:, None, None]
    assert_close(gap(moved, teacher), gap(student, teacher))
    assert gap(moved, student).abs() < 1e-12


def test_a_faint_channel_passes_no_huge_gradient():
    student, teacher = tokens(0, 3, 4, 3, 3), tokens(1, 3, 7, 3, 3)
    whole = torch.autograd.grad(gap(student.requires_grad_(), teacher), student)[0]
    faint = student.detach() * torch.tensor([1.0, 1.0, 1e-6, 1.0]).double()[:, None, None]
    found = torch.autograd.grad(gap(faint.requires_grad_(), teacher), faint)[0]
    assert found.abs().max() < 10 * whole.abs().max()


def test_tokens_are_positions():
    student, teacher = tokens(0, 3, 9, 4), tokens(1, 3, 9, 7)
    maps = [each.transpose(1, 2).reshape(3, -1, 3, 3) for each in (student, teacher)]
    assert_close(gap(student, teacher), gap(*maps))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fill", [0.0, 1e-30, 1e15])
def test_degenerate_channels_stay_finite(dtype, fill):
    student, teacher = tokens(0, 3, 4, 3, 3).to(dtype), tokens(1, 3, 7, 3, 3).to(dtype)
    student[0], student[1, 2], teacher[1, :3] = fill, fill, fill
    found = gap(student.requires_grad_(), teacher)
    found.backward()
    assert found.isfinite()
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 10


def test_it_is_a_mean_over_images():
    student, teacher = tokens(0, 4, 4, 3, 3), tokens(1, 4, 7, 3, 3)
    halves = [gap(student[rows], teacher[rows]) for rows in (slice(2), slice(2, 4))]
    assert_close(gap(student, teacher), sum(halves) / 2)


def test_volumes_are_compared_as_their_positions_in_a_row():
    student, teacher = tokens(0, 3, 4, 2, 3, 4), tokens(1, 3, 7, 2, 3, 4)
    assert_close(gap(student, teacher), gap(*(each.flatten(2)[..., None] for each in (student, teacher))))


def test_absent_tokens_change_nothing():
    student, teacher = tokens(0, 3, 9, 4), tokens(1, 3, 9, 7)
    assert_close(gap(padded(student), padded(teacher)), gap(student, teacher), rtol=1e-12, atol=1e-14)
