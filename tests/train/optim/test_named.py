"""Optimizers of timm by name, rates by layer and of heads, and what of them survives an interruption."""

import pytest
import torch
from torch import nn

from selfdistill.errors import UserError
from selfdistill.methods import parse_method
from selfdistill.models import create
from selfdistill.step import Distiller
from selfdistill.train.config import RunConfig
from selfdistill.train.optim.optimizer import make_optimizer
from selfdistill.train.optim.settings import ParameterSetting, parameter_settings
from tests.helpers.small_runs import goes_on_bitwise, small, trainer

NAMES = ("adamw", "lamb", "lion", "muon", "adafactor", "rmsprop", "nadamw")


def distiller(text="drg()", model="resnet8"):
    return Distiller(create(model, 10, size=32), parse_method(text), torch.zeros(2, 3, 32, 32))


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_run_goes_on_bitwise(name, digits, tmp_path):
    config = small("drg() + dsr()", optimizer=name, lr=0.01, layer_decay=0.8, head_lr=0.02, decay_norms=False)
    goes_on_bitwise(config, digits, tmp_path)


def test_adamw_is_torchs(digits, tmp_path):
    made = trainer(small(optimizer="adamw", lr=0.01, weight_decay=0.1), digits, tmp_path)
    student = create("resnet8", 10, size=8)
    student.load_state_dict(made.distiller.student.state_dict())
    optimizer = torch.optim.AdamW(student.parameters(), lr=0.01, weight_decay=0.1)
    (batch,) = next(made.batches(0))
    made.train_step.run.train()
    made.train_step.step((batch,), made.progress(0), 0.01)
    torch.nn.functional.cross_entropy(student.train()(batch.inputs), batch.labels).backward()
    optimizer.step()
    for name, each in student.named_parameters():
        torch.testing.assert_close(dict(made.distiller.student.named_parameters())[name], each)


def test_rates_fall_from_the_last_layer_to_the_first():
    made = distiller(model="timm/resnet10t")
    config = RunConfig("drg()", layer_decay=0.5, head_lr=0.3, lr=0.1)
    found = parameter_settings(made, config)
    scales = {name: found[each].lr_scale for name, each in made.student.named_parameters()}
    assert scales["fc.weight"] == 1.0
    assert scales["conv1.0.weight"] < scales["layer1.0.conv1.weight"] < scales["layer4.0.conv1.weight"] < 1.0
    assert all(found[each].lr_scale == pytest.approx(3.0) for each in made.terms.parameters())


def test_rates_of_other_networks_fall_by_stage():
    made = distiller(model="resnet8")
    found = parameter_settings(made, RunConfig("drg()", layer_decay=0.5))
    first, *_, last = made.student.parameters()
    stages = len(made.anatomy.stages)
    assert stages == 3
    ends = [next(made.student.get_submodule(each.path).parameters()) for each in made.anatomy.stages]
    assert [found[each].lr_scale for each in ends] == [0.125, 0.25, 0.5]
    assert (found[first].lr_scale, found[last].lr_scale) == (0.125, 1.0)
    assert set(made.student.parameters()) <= {*found}


def test_layer_decay_of_a_network_without_stages_is_refused():
    one = Distiller(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), parse_method("ce()"), torch.zeros(2, 3, 2, 2))
    with pytest.raises(UserError, match="--layer-decay: Sequential has no stages, by which rates could fall"):
        parameter_settings(one, RunConfig("ce()", layer_decay=0.5))


def test_the_rate_of_each_group_follows_the_schedule(digits, tmp_path):
    made = trainer(small("drg()", head_lr=0.02, lr=0.1), digits, tmp_path)
    made.train_step.run.train()
    made.train_step.step(next(made.batches(0)), made.progress(0), 0.05)
    rates = sorted({group["lr"] for group in made.train_step.optimizer.param_groups})
    assert rates == [pytest.approx(0.01), pytest.approx(0.05)]


def test_norms_and_biases_do_not_decay():
    found = parameter_settings(distiller("ce()"), RunConfig("ce()", decay_norms=False, weight_decay=0.1))
    assert {(each.dim() > 1, setting.weight_decay) for each, setting in found.items()} == {(True, 0.1), (False, 0.0)}


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"optimizer": "adamv"}, "there is no optimizer 'adamv'; nearest: adam"),
        ({"optimizer": "adahessian"}, "needs second derivatives"),
        ({"optimizer": "bnbadam"}, "cannot make the optimizer 'bnbadam'"),
        ({"optimizer": "lamb", "strategy": "fsdp"}, "--optimizer lamb reads whole parameters"),
    ],
)
def test_optimizers_that_cannot_be_made_are_refused(changes, answer):
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    with pytest.raises(UserError, match=answer):
        make_optimizer({parameter: ParameterSetting(0.0)}, RunConfig("ce()", **changes))


def test_two_momenta_are_those_of_sgd():
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    with pytest.raises(UserError, match="has momenta of its own"):
        make_optimizer({parameter: ParameterSetting(0.0)}, RunConfig("dot()", optimizer="adamw"), gap=0.1)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [({"layer_decay": 1.5}, "layer decay must be above 0, at most 1"), ({"head_lr": 0.0}, "head lr must be above 0")],
)
def test_rates_out_of_range_are_refused(changes, answer):
    with pytest.raises(UserError, match=answer):
        RunConfig("ce()", **changes)
