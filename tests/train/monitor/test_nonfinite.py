"""A step whose numbers are none changes nothing, and is named."""

import copy

import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY, parse_method
from selfdistill.models import create
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.optim.optimizer import make_optimizer
from selfdistill.train.optim.settings import parameter_settings
from selfdistill.train.persist import checkpoint
from selfdistill.train.run import run
from tests.helpers.small_runs import log, small, trainer

BAD = 4  # the step, of six


def cast(text):
    return {role: create("resnet8", 10, size=8) for role in parse_method(text).teachers}


class StateRecorder(Listener):
    """Keeps the state after each step."""

    def __init__(self):
        self.states = []

    def on_step(self):
        self.states.append(everything(self.made))


def everything(made):
    """Weights, running statistics, averages, momenta and memories."""
    state = made.train_step.state_dict()
    state["optimizer"] = state["optimizer"]["state"]  # its rate was set for the step
    return copy.deepcopy((state, made.train_step.memory.slots))


def spoil(made, step, value=torch.inf):
    """Let one image of a batch of the first epoch hold a number that is none."""
    own = made.loader.epoch

    def epoch(number, start=0):
        for at, batch in enumerate(own(number, start), start):
            if (number, at) == (0, step):
                batch.inputs[3, 1, 2, 2] = value
            yield batch

    made.loader.epoch = epoch


@pytest.mark.parametrize("every", [1, 16])
@pytest.mark.parametrize("text", [f"{name}()" for name in REGISTRY])
def test_an_infinite_batch_leaves_all_as_it_was(text, every, digits, tmp_path):
    """With `every` 16 the host looks after the steps that follow, as on a GPU."""
    display = StateRecorder()
    made = display.made = trainer(small(text), digits, tmp_path, cast(text), display)
    made.every = every
    spoil(made, BAD)
    with pytest.raises(UserError, match=rf"in epoch 1, step {BAD + 1} of 6, on the training images "):
        made.fit()
    assert len(display.states) == (BAD + 1 if every == 1 else 6)
    torch.testing.assert_close(everything(made), display.states[BAD - 1], rtol=0, atol=0)


@pytest.mark.parametrize("text", ["ce()", "dot()", "ema() + csd()"])
def test_on_the_devices_own_word(text, digits, tmp_path):
    """The optimizer that a GPU has, which nobody asks whether to step."""
    display = StateRecorder()
    made = display.made = trainer(small(text), digits, tmp_path, cast(text), display)
    if text != "dot()":
        made.train_step.optimizer._optimizer = make_optimizer(
            parameter_settings(made.distiller, made.config), made.config, fused=True
        )
    made.every = 16
    spoil(made, BAD, torch.nan)
    with pytest.raises(UserError, match=r"the loss of the term 'task' of .* became nan in epoch 1, step 5 of 6"):
        made.fit()
    torch.testing.assert_close(everything(made), display.states[BAD - 1], rtol=0, atol=0)
    weights = [next(iter(state[0]["student"].values())) for state in display.states]
    assert not torch.equal(weights[BAD - 1], weights[BAD - 2])


def test_a_first_step_that_is_not_taken_leaves_no_momentum(digits, tmp_path):
    made = trainer(small(), digits, tmp_path)
    made.train_step.optimizer._optimizer = make_optimizer(
        parameter_settings(made.distiller, made.config), made.config, fused=True
    )
    start = everything(made)
    made.every = 16
    spoil(made, 0)
    with pytest.raises(UserError, match=r"epoch 1, step 1 of 6"):
        made.fit()
    torch.testing.assert_close(everything(made), start, rtol=0, atol=0)


def test_it_names_term_step_images_and_what_to_try(digits, tmp_path):
    made = trainer(small("csd()"), digits, tmp_path)
    rule, calls = made.distiller.terms["center"].forward, []

    def broken(seen):
        calls.append(seen.batch.index.tolist())
        value, remembered = rule(seen)
        return value * (torch.nan if len(calls) == 9 else 1), remembered

    made.distiller.terms["center"].forward = broken
    with pytest.raises(UserError) as told:
        made.fit()
    rows = ", ".join(map(str, calls[8][:8]))
    assert str(told.value) == (
        f"the loss of the term 'center' of csd() became nan in epoch 2, step 3 of 6, on the training images {rows} "
        "and 24 more; try a lower --lr than 0.1, a --warmup. The last checkpoint is kept"
    )
    assert checkpoint.read(tmp_path / "last.ckpt")["epoch"] == 1
    assert len(log(tmp_path)) == 1


def test_a_gradient_that_overflows_is_named_as_such(digits, tmp_path):
    made = trainer(small(), digits, tmp_path)
    weight = next(made.distiller.student.parameters())
    weight.register_hook(lambda grad: grad * torch.inf if made.step == 2 else grad)
    with pytest.raises(UserError, match=r"the gradient of ce\(\) became infinite in epoch 1, step 3 of 6"):
        made.fit()
    assert weight.isfinite().all()


def test_a_run_that_diverges_keeps_its_last_checkpoint(digits, tmp_path):
    with pytest.raises(UserError, match=r"(the loss of the term 'task'|a weight) .* try a lower --lr than 1e\+06, a "):
        run(small(lr=1e6, epochs=40), tmp_path / "a", splits=digits, save_every=0.0)
    state = checkpoint.read(tmp_path / "a" / "last.ckpt")
    assert all(each.isfinite().all() for each in state["student"].values())
    assert not (tmp_path / "a" / "result.json").exists()
