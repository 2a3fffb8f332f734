import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.functional import gap_to_mean, spectral_contrast
from selfdistill.methods import aca
from selfdistill.terms import ModelOutputs
from tests.helpers.step_contexts import build_context, only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def value(one, other, plain, **options):
    """The term's parts where the projection is the identity."""
    term, logits, labels = only(aca(**options), "components"), torch.zeros(len(one), 2), torch.zeros(len(one)).long()
    term.project = nn.Identity()
    views = {"twin": ModelOutputs(logits, other, {}), "plain": ModelOutputs(logits, plain, {})}
    return term.loss(step_context(logits, labels, embedding=one, views=views))


def contrast_in_loops(one, other, temperature, weight):
    """-2 mean s of the two views of an image + weight · mean s² of views of two images."""
    rows = [(image, row / row.norm()) for view in (one, other) for image, row in enumerate(view)]
    alike, unlike = [], []
    for i, (image, row) in enumerate(rows):
        for j, (stranger, theirs) in enumerate(rows):
            similar = torch.dot(row, theirs) / temperature
            if image != stranger:
                unlike.append(similar**2)
            elif i != j:
                alike.append(similar)
    return -2 * sum(alike) / len(alike) + weight * sum(unlike) / len(unlike)


def test_it_is_the_published_loss(reference):
    want = reference("aca")
    rows = [want[name].requires_grad_() for name in ("view0", "view1", "anchor")]
    names = {"negatives": "K", "projection": "lamb", "temperature": "temperature"}
    options = {name: want[stored].item() for name, stored in names.items()}
    parts = value(*rows, normalize=bool(want["proj_norm"]), **options)
    total(parts).backward()
    assert_close(total(parts).detach(), want["loss"], **EXACT)
    assert_close(parts["learn"].detach(), want["pc"], **EXACT)
    assert_close(parts["mimic"].detach(), want["projection"], **EXACT)
    for each, name in zip(rows, ("view0", "view1", "anchor"), strict=True):
        assert_close(each.grad, want[f"grad_{name}"], **EXACT)


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_contrast_is_that_of_loops(weight):
    one, other = torch.randn(2, 5, 4)
    assert_close(spectral_contrast(one, other, 0.3, weight), contrast_in_loops(one, other, 0.3, weight))


def test_a_gap_is_a_mean_over_entries():
    plain, one, other = torch.randn(3, 4, 6)
    squares = [(plain[i, d] - (one[i, d] + other[i, d]) / 2) ** 2 for i in range(4) for d in range(6)]
    assert_close(gap_to_mean(plain, one, other), sum(squares) / 24)
    mean = (one + other) / 2
    scaled = (plain / plain.norm(dim=1, keepdim=True) - mean / mean.norm(dim=1, keepdim=True)).square().mean()
    assert_close(gap_to_mean(plain, one, other, normalize=True), scaled)


def test_no_gradient_reaches_the_views_from_the_projection():
    plain, one, other = (torch.randn(4, 3, requires_grad=True) for _ in range(3))
    value(one, other, plain)["mimic"].backward()
    assert one.grad.abs().sum() == other.grad.abs().sum() == 0
    assert plain.grad.abs().sum() > 0


def test_contrast_alone_does_not_reach_the_plain_image():
    plain, one, other = (torch.randn(4, 3, requires_grad=True) for _ in range(3))
    value(one, other, plain)["learn"].backward()
    assert plain.grad.abs().sum() == 0
    assert one.grad.abs().sum() > 0


def test_orthogonal_images_of_equal_views_reach_the_least_contrast():
    rows = torch.eye(4)
    assert_close(spectral_contrast(rows, 3 * rows, temperature=0.5), torch.tensor(-4.0))


def test_a_row_of_zeros_keeps_gradients_finite():
    one, other = torch.zeros(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    spectral_contrast(one, other, temperature=0.5).backward()
    assert one.grad.isfinite().all()
    assert other.grad.isfinite().all()


def test_the_projection_has_the_published_sizes():
    term = only(aca(width=32), "components")
    term.build(build_context(embedding=(4, 16), logits=(4, 10)))
    assert [tuple(each.weight.shape) for each in (term.project[0], term.project[2])] == [(1024, 16), (32, 1024)]


def test_the_second_view_may_be_strong():
    assert list(aca().needs) == ["twin", "plain"]
    assert list(aca(view="strong").needs) == ["strong", "plain"]
    assert [view.source for view in only(aca(view="strong"), "components").views] == ["strong", "plain"]
