import copy

import pytest
import torch
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.methods import ce, ema
from tests.contract.steps import Training, distil, images
from tests.helpers.networks import network


def loop(steps, decay):
    """The student's states after each step of plain training, and their average by a plain loop."""
    distiller = distil("ce()")
    training, average = Training(distiller), None
    for step in range(1, steps + 1):
        training.steps(1)
        state = copy.deepcopy(distiller.student.state_dict())
        if average is None:
            average = {name: value.clone() for name, value in state.items()}
        keep = min(decay, 1 - 1 / step)
        for name, value in state.items():
            average[name] = keep * average[name] + (1 - keep) * value if value.is_floating_point() else value
    return state, average


@pytest.mark.parametrize("decay", [0.6, 0.999, 0.0])
def test_the_average_is_deployed(decay):
    last, average = loop(5, decay)
    distiller = distil(f"ema(decay={decay})")
    Training(distiller).steps(5)
    assert_close(distiller.student.state_dict(), last, rtol=0, atol=0)  # it trains as if nothing were averaged
    deployed = distiller.deployed()
    assert_close(deployed.state_dict(), average, rtol=1e-5, atol=1e-6)
    assert deployed is not distiller.student
    student = distiller.student
    closed = distiller.close()
    assert closed is student
    assert_close(closed.state_dict(), average, rtol=1e-5, atol=1e-6)


def test_below_its_decay_it_is_the_mean_of_all_steps():
    distiller = distil("ema()")
    training, states = Training(distiller), []
    for _ in range(4):
        training.steps(1)
        states.append(distiller.student.fc.weight.detach().clone())
    assert_close(distiller.deployed().fc.weight, torch.stack(states).mean(dim=0))
    assert not torch.allclose(distiller.deployed().fc.weight, states[-1], atol=1e-4)


def test_in_a_loop_of_ones_own():
    model, labels = network(), torch.arange(8) % 5
    teach = sd.teach(model, ema(decay=0.5), images(0))
    optimizer = torch.optim.SGD(teach.parameters(), lr=0.1)
    states = []
    for step in range(3):
        loss = teach(images(step), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        states.append(model.fc.weight.detach().clone())
    assert teach.close() is model
    assert_close(model.fc.weight, 0.25 * states[0] + 0.25 * states[1] + 0.5 * states[2])


def test_the_average_does_not_train():
    distiller = distil("ema()")
    trained = {name for name, each in distiller.named_parameters() if each.requires_grad}
    assert trained == {name for name, each in distil("ce()").named_parameters()}
    assert (ce() + ema()).export_role == "average"
