"""Content of checkpoints: what no run wrote is refused."""

import pytest
import torch
from torch import nn

from selfdistill.train.persist.checkpoint import CheckpointError
from selfdistill.train.persist.content import require_optimizer


def optimizer():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    made = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(1, 2)).sum().backward()
    made.step()
    return made


def test_the_own_state_is_taken():
    made = optimizer()
    require_optimizer(made.state_dict(), made.param_groups)


@pytest.mark.parametrize("numbers", [[0, 1, 2, {}], [0, 1, 2, 2], [3, 2, 1, 0], ["0", 1, 2, 3], [1, 2, 3, 4]])
def test_other_numbers_of_parameters_are_refused(numbers):
    made = optimizer()
    state = made.state_dict()
    state["param_groups"][0]["params"] = numbers
    with pytest.raises(CheckpointError, match="must number the parameters from 0 to 3"):
        require_optimizer(state, made.param_groups)


def test_another_shape_of_momentum_is_refused():
    made = optimizer()
    state = made.state_dict()
    state["state"][0]["momentum_buffer"] = torch.zeros(5, 5)
    with pytest.raises(CheckpointError, match=r"optimizer.state.0.momentum_buffer must have the shape \[3, 2\]"):
        require_optimizer(state, made.param_groups)
