import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from selfdistill.data.requirements import ClassGroups
from selfdistill.errors import UserError
from selfdistill.functional import softmax_with_temperature
from selfdistill.methods import bake
from selfdistill.methods.bake import affinity, propagate
from tests.helpers.step_contexts import only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def test_it_is_the_published_loss(reference):
    want = reference("bake")
    logits, rows = (want[key].requires_grad_() for key in ("logits", "features"))
    made = bake(weight=want["lamda"].item(), temperature=want["temperature"].item(), omega=want["omega"].item())
    step = step_context(logits, want["targets"], embedding=rows)
    task, alone = only(made, "task").loss(step), only(made, "ensemble").loss(step)
    total = task + made.weights["ensemble"] * alone
    total.backward()
    assert_close(task.detach(), want["loss_ce"], **EXACT)
    assert_close(alone.detach(), want["loss_kd"], **EXACT)
    assert_close(total.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    assert rows.grad is None
    target = propagate(softmax_with_temperature(logits.detach(), 4.0), affinity(rows.detach()), 0.5)
    assert_close(target, want["soft_targets"], **EXACT)


def loop_targets(own, rows, omega, rounds=200):
    """The targets by passing on again and again."""
    unit = [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in rows]
    count = len(rows)
    weights = [
        [0.0 if i == j else math.exp(sum(a * b for a, b in zip(unit[i], unit[j], strict=True))) for j in range(count)]
        for i in range(count)
    ]
    shares = [[each / sum(row) for each in row] for row in weights]
    found = own
    for _ in range(rounds):
        found = [
            [omega * sum(shares[i][j] * found[j][c] for j in range(count)) + (1 - omega) * own[i][c] for c in range(3)]
            for i in range(count)
        ]
    return found


@pytest.mark.parametrize("omega", [0.0, 0.5, 0.9])
def test_targets_are_predictions_passed_on_for_ever(omega):
    torch.manual_seed(0)
    own, rows = torch.randn(5, 3, dtype=torch.float64).softmax(1), torch.randn(5, 4, dtype=torch.float64)
    want = loop_targets(own.tolist(), rows.tolist(), omega)
    assert_close(propagate(own, affinity(rows), omega), torch.tensor(want, dtype=torch.float64), rtol=1e-7, atol=1e-9)


@given(st.integers(0, 2**31), st.integers(2, 9), st.floats(0, 0.99))
@settings(max_examples=40)
def test_targets_are_probabilities(seed, rows, omega):
    draws = torch.Generator().manual_seed(seed)
    own = torch.randn(rows, 4, generator=draws).softmax(dim=1)
    target = propagate(own, affinity(torch.randn(rows, 3, generator=draws)), omega)
    assert_close(target.sum(dim=1), torch.ones(rows), rtol=1e-4, atol=1e-4)
    assert target.min() > 0


def test_no_row_is_its_own_neighbour():
    shares = affinity(torch.randn(6, 4))
    assert shares.diagonal().abs().max() == 0
    assert_close(shares.sum(dim=1), torch.ones(6))


def test_rows_of_zeros_and_duplicates_stay_finite():
    rows = torch.zeros(4, 3)
    rows[2:] = 1.0
    logits = torch.zeros(4, 5).index_fill(0, torch.tensor([1]), 1e4).requires_grad_()
    loss = only(bake(omega=0.9), "ensemble").loss(step_context(logits, torch.arange(4), embedding=rows))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_groups_are_asked_of_the_data():
    assert bake().needs == {"order": ClassGroups(3)}
    assert bake(others=1).needs == {"order": ClassGroups(1)}
    with pytest.raises(UserError, match="others must be a whole number from 1 to 1,000,000, but is 0"):
        bake(others=0)
    with pytest.raises(UserError, match="omega must be a number from 0 to under 1, but is 1"):
        bake(omega=1)
