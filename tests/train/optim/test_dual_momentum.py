"""Two momenta: the published trajectory, and what follows from it."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.train.optim.dual_momentum import DualMomentumSGD

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def along(parameters, gradients):
    """A loss that has these gradients."""
    return sum((each * gradient).sum() for each, gradient in zip(parameters, gradients, strict=True))


def made(want, parameters, **changes):
    options = {key: want[key].item() for key in ("lr", "momentum", "weight_decay")}
    return DualMomentumSGD(parameters, gap=want["delta"].item(), **{**options, **changes})


def step(optimizer, want, parameters, at):
    """A step of the reference: `a` is reached by both losses, `b` by the task, `c` by the distillation."""
    learn = along([parameters["a"], parameters["b"]], [want[f"task_grads_{name}"][at] for name in "ab"])
    mimic = along([parameters["a"], parameters["c"]], [want[f"kd_grads_{name}"][at] for name in "ac"])
    optimizer.backward(learn, mimic)
    optimizer.step()


def start(want):
    return {name: nn.Parameter(want[f"init_{name}"].clone()) for name in "abc"}


def test_four_steps_are_the_published_ones(reference):
    want = reference("dot_optimizer")
    parameters = start(want)
    optimizer = made(want, parameters.values())
    for at in range(4):
        step(optimizer, want, parameters, at)
        for name, each in parameters.items():
            assert_close(each.detach(), want[f"trajectory_{name}"][at], **EXACT)


def test_groups_decay_apart(reference):
    want = reference("dot_optimizer")
    one, other = start(want), start(want)
    groups = [{"params": [one["a"]]}, {"params": [one["b"], one["c"]], "weight_decay": 0.0}]
    grouped, plain = made(want, groups), made(want, other.values(), weight_decay=0.0)
    for at in range(3):
        step(grouped, want, one, at)
        step(plain, want, other, at)
    assert_close(one["a"].detach(), want["trajectory_a"][2], **EXACT)
    assert_close(one["b"], other["b"], **EXACT)
    assert_close(one["c"], other["c"], **EXACT)
    assert (one["a"] - other["a"]).abs().max() > 1e-6


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_without_a_gap_it_is_sgd_on_the_sum(momentum):
    torch.manual_seed(0)
    one = nn.Linear(3, 2).double()
    other = copy.deepcopy(one)
    two = DualMomentumSGD(one.parameters(), lr=0.1, momentum=momentum, gap=0.0, weight_decay=0.01)
    sgd = torch.optim.SGD(other.parameters(), lr=0.1, momentum=momentum, weight_decay=0.01)
    for _ in range(4):
        x, y = torch.randn(5, 3).double(), torch.randn(5, 2).double()
        two.backward((one(x) - y).square().mean(), one(x).abs().mean())
        two.step()
        sgd.zero_grad()
        ((other(x) - y).square().mean() + other(x).abs().mean()).backward()
        sgd.step()
    assert_close(list(one.parameters()), list(other.parameters()), **EXACT)


def test_it_goes_on_where_it_was_put_down(reference):
    want = reference("dot_optimizer")
    parameters = start(want)
    first = made(want, parameters.values())
    for at in range(2):
        step(first, want, parameters, at)
    second = made(want, parameters.values(), lr=9.0)
    second.load_state_dict(first.state_dict())
    for at in range(2, 4):
        step(second, want, parameters, at)
        assert_close(parameters["a"].detach(), want["trajectory_a"][at], **EXACT)


def test_a_loss_without_gradient_moves_nothing_of_its_own(reference):
    want = reference("dot_optimizer")
    one, other = start(want), start(want)
    two = made(want, one.values())
    sgd = torch.optim.SGD(other.values(), lr=0.05, momentum=0.9, weight_decay=want["weight_decay"].item())
    for at in range(3):
        gradients = [want[f"task_grads_{name}"][at] for name in "abc"]
        two.backward(along(one.values(), gradients), torch.zeros(()))
        two.step()
        for each, gradient in zip(other.values(), gradients, strict=True):
            each.grad = gradient.clone()
        sgd.step()
    assert_close(list(one.values()), list(other.values()), **EXACT)
