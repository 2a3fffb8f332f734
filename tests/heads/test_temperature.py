import torch
from torch.testing import assert_close

from selfdistill.heads import CurriculumTemperature
from selfdistill.heads.temperature import reversal


def test_the_reversal_is_the_published_curve(reference):
    curve = reference("ctkd")["decay_curve"]  # of epochs counted from 1
    found = torch.stack([reversal(torch.tensor(float(epoch), dtype=torch.float64)) for epoch in range(len(curve) - 1)])
    assert_close(found, curve[1:])
    assert reversal(torch.tensor(-1.0)) == 0


def test_the_temperature_lies_between_one_and_twenty_one(float64):
    learned = CurriculumTemperature()
    for logit in (-40.0, -3.0, 0.0, 3.0, 40.0):
        torch.nn.init.constant_(learned.logit, logit)
        temperature = learned(torch.tensor(2.0))
        assert 1 <= temperature <= 21
        assert_close(temperature, 1 + 20 * learned.logit.sigmoid())


def test_a_step_down_the_gradient_raises_the_loss(float64):
    learned = CurriculumTemperature()
    before = learned(torch.tensor(9.0))
    (-before).sum().backward()  # a loss that falls with the temperature
    with torch.no_grad():
        learned.logit -= learned.logit.grad
    assert learned(torch.tensor(9.0)) < before
