import math

import pytest
import torch
from torch.testing import assert_close

from selfdistill.functional import adjacent_congruence
from selfdistill.methods import cc
from tests.helpers.random_features import embedded, tokens
from tests.helpers.step_contexts import build_context, only

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def test_it_is_the_published_loss(reference):
    want = reference("cc")
    student = want["embed_s"].requires_grad_()
    term = only(cc(width=8), "congruence")
    term.build(build_context(embedding=student.shape, views={"teacher": {"embedding": want["embed_t"].shape}}))
    sides = {"s": term.own, "t": term.theirs}
    for side, linear in sides.items():
        kinds = ("weight", "bias")
        linear.load_state_dict({kind: want[f"proj_{side}_{kind}"] for kind in kinds}, assign=True)
    found = embedded(term, student, want["embed_t"])
    found.backward()
    assert_close(found.detach(), want["loss_kd"], **EXACT)
    assert_close(student.grad, want["grad_embed_s"], **EXACT)
    for side, linear in sides.items():
        assert_close(linear.weight.grad, want[f"grad_proj_{side}_weight"], **EXACT)
        assert_close(linear.bias.grad, want[f"grad_proj_{side}_bias"], **EXACT)
    assert term.weight == want["beta"]


def test_without_projections(reference):
    want = reference("cc")
    one, other = want["raw_a"].requires_grad_(), want["raw_b"].requires_grad_()
    found = adjacent_congruence(one, other)
    found.backward()
    assert_close(found.detach(), want["loss_raw"], **EXACT)
    assert_close(one.grad, want["grad_raw_a"], **EXACT)
    assert_close(other.grad, want["grad_raw_b"], **EXACT)
    assert (
        abs(adjacent_congruence(one[[1, 0, *range(2, 8)]], other[[1, 0, *range(2, 8)]]) - found) > 1e-3
    )  # order counts


def test_the_kernel_form_is_the_plain_loop():
    student, teacher = tokens(0, 5, 4), tokens(1, 5, 7)
    matrices = []
    for rows in (student, teacher):
        cosines = torch.nn.functional.cosine_similarity(rows[None], rows[:, None], dim=2)
        matrices.append(math.exp(-0.8) * (1 + 0.8 * cosines + 0.32 * cosines**2))
    want = (matrices[0] - matrices[1]).square().mean()
    assert_close(embedded(only(cc(form="kernel"), "congruence"), student, teacher), want)


@pytest.mark.parametrize("fill", [0.0, 1e-30, 1e15])
def test_degenerate_rows_stay_finite_in_the_kernel_form(fill):
    student, teacher = tokens(0, 5, 4).float(), tokens(1, 5, 7).float()
    student[0], student[2] = fill, student[1]
    found = embedded(only(cc(form="kernel"), "congruence"), student.requires_grad_(), teacher)
    found.backward()
    assert found.isfinite()
    assert student.grad.abs().max() < 10
