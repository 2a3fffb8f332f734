from torch import nn

from selfdistill.train.config import RunConfig
from selfdistill.train.optim.optimizer import make_optimizer as make
from selfdistill.train.optim.settings import ParameterSetting, decay_of

NET = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def make_optimizer(net, config):
    """The optimizer of a network without heads."""
    trained = [each for each in net.parameters() if each.requires_grad]
    return make({each: ParameterSetting(decay_of(each, config)) for each in trained}, config)


def shapes(group):
    return [tuple(each.shape) for each in group["params"]]


def test_everything_decays_in_one_group():
    (group,) = make_optimizer(NET, RunConfig("ce()", weight_decay=0.01)).param_groups
    assert shapes(group) == [tuple(each.shape) for each in NET.parameters()]
    assert (group["weight_decay"], group["lr"], group["momentum"], group["nesterov"]) == (0.01, 0.1, 0.9, True)


def test_norms_and_biases_can_be_spared():
    weights, vectors = make_optimizer(NET, RunConfig("ce()", weight_decay=0.01, decay_norms=False)).param_groups
    assert (shapes(weights), weights["weight_decay"]) == ([(4, 3, 3, 3), (2, 4)], 0.01)
    assert (shapes(vectors), vectors["weight_decay"]) == ([(4,), (4,), (4,), (2,)], 0.0)


def test_frozen_parameters_are_left_out():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    net[0].requires_grad_(False)
    (group,) = make_optimizer(net, RunConfig("ce()")).param_groups
    assert shapes(group) == [(3, 2), (3,)]


def test_a_group_without_parameters_is_not_made():
    (group,) = make_optimizer(nn.Linear(2, 2, bias=False), RunConfig("ce()", decay_norms=False)).param_groups
    assert shapes(group) == [(2, 2)]


def test_no_nesterov_without_momentum():
    (group,) = make_optimizer(NET, RunConfig("ce()", momentum=0.0)).param_groups
    assert not group["nesterov"]
