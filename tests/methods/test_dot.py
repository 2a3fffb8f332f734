import pytest
import torch
from torch import nn

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.methods import dot, kd, parse_method
from selfdistill.train.optim.dual_momentum import DualMomentumSGD
from tests.helpers.small_runs import small, trainer
from tests.train.conftest import digits  # noqa: F401  # a fixture


def test_it_adds_a_gap_to_any_method():
    made = kd() + dot(gap=0.05)
    assert made.momentum_gap == 0.05
    assert made.terms.keys() == kd().terms.keys()
    assert kd().momentum_gap is None
    assert parse_method("kd() + dot()").momentum_gap == 0.075


def test_two_gaps_contradict():
    with pytest.raises(UserError, match="each set their own momentum gap"):
        dot() + dot(gap=0.1)


def test_a_run_has_the_optimizer_with_this_gap(digits, tmp_path):  # noqa: F811
    inner = trainer(small("lightskd() + dot(gap=0.06)"), digits, tmp_path / "a").train_step.optimizer.optimizer
    assert isinstance(inner, DualMomentumSGD)
    assert inner.defaults["gap"] == 0.06
    plain = trainer(small("lightskd()"), digits, tmp_path / "b").train_step.optimizer.optimizer
    assert isinstance(plain, torch.optim.SGD)


def test_a_loop_of_ones_own_has_its_own_optimizer():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    with pytest.raises(UserError, match="replaces the optimizer, so it does not run in a custom loop"):
        sd.teach(model, "drg() + dot()", torch.zeros(2, 3, 2, 2))
