"""Frozen layers: what stays, what thaws, what goes on after an interruption, and what is refused."""

import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.run import run
from tests.helpers.small_runs import Interrupted, StopAfter, log, small, trainer, untimed, weights

HEAD = "all but the classifier"


def state(made):
    return {name: each.clone() for name, each in made.distiller.student.state_dict().items()}


def moved(before, made):
    """The names of weights and statistics that training has changed."""
    return {name for name, each in made.distiller.student.state_dict().items() if not torch.equal(each, before[name])}


def trained(config, digits, folder):
    folder.mkdir(exist_ok=True)
    made = trainer(config, digits, folder)
    before = state(made)
    made.fit()
    return made, moved(before, made)


@pytest.mark.parametrize("text", ["ce()", "drg() + dsr()", "dot()", "lightskd() + csd()"])
def test_all_but_the_classifier_keeps_weights_and_statistics(text, digits, tmp_path):
    made, changed = trained(small(text, freeze=HEAD, epochs=1), digits, tmp_path)
    classifier = str(made.distiller.anatomy.classifier)
    assert changed == {f"{classifier}.weight", f"{classifier}.bias"}
    inside = {each for group in made.train_step.optimizer.param_groups for each in group["params"]}
    assert not inside & {*made.frozen.parameters}


def test_named_layers_stay_and_the_others_train(digits, tmp_path):
    made, changed = trained(small(freeze="stem, layer1.0", epochs=1), digits, tmp_path)
    names = {name for name, _ in made.distiller.student.named_parameters()}
    assert names - changed == {name for name in names if name.startswith(("stem.", "layer1.0."))}
    assert "stem.1.running_mean" not in changed
    assert any("running_mean" in name for name in changed)


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adamw", "lr": 0.01}, {"method": "dot()"}])
def test_layers_thaw_after_some_epochs_with_a_state_of_their_own(changes, digits, tmp_path):
    config = small(changes.pop("method", "ce()"), freeze=HEAD, unfreeze=1, epochs=2, **changes)
    made = trainer(config, digits, tmp_path)
    before = state(made)
    made.listener = StopAfter(1)
    with pytest.raises(Interrupted):
        made.fit()
    assert moved(before, made) == {"classifier.weight", "classifier.bias"}
    kept = made.train_step.optimizer.state
    assert all(not each.any() for frozen in made.frozen.parameters for each in kept.get(frozen, {}).values())
    made.listener = Listener()
    made.fit()
    assert moved(before, made) == {*before}
    if "optimizer" in changes:
        steps = len(made.loader)
        assert {kept[each]["step"].item() for each in made.frozen.parameters} == {steps}
        assert {kept[each]["step"].item() for each in made.distiller.student.classifier.parameters()} == {2 * steps}


class StopInEpoch(Listener):
    """Whatever ends a run at a step of an epoch."""

    def __init__(self, step):
        self.left = step

    def on_step(self):
        self.left -= 1
        if self.left == 0:
            raise Interrupted


@pytest.mark.parametrize("stop", [(StopAfter, 1), (StopAfter, 2), (StopInEpoch, 4), (StopInEpoch, 10)])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_an_interrupted_run_goes_on_bitwise(optimizer, stop, digits, tmp_path):
    config = small(freeze=HEAD, unfreeze=1, epochs=3, optimizer=optimizer, lr=0.01)
    whole = run(config, tmp_path / "whole", splits=digits)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "cut", splits=digits, listener=stop[0](stop[1]), save_every=0)
    assert untimed(run(config, tmp_path / "cut", splits=digits)) == untimed(whole)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


@pytest.mark.parametrize(
    ("freeze", "answer"),
    [
        ("layr1", r"--freeze: Sequential has no layer 'layr1'; nearest: layer1"),
        ("stem,", r"--freeze: Sequential has no layer ''; nearest: "),
        ("stem, layer1, layer2, layer3, neck, classifier", "leaves no parameter of Sequential to train; name fewer"),
    ],
)
def test_layers_that_cannot_be_frozen_are_refused(freeze, answer, digits, tmp_path):
    with pytest.raises(UserError, match=answer):
        trainer(small(freeze=freeze), digits, tmp_path)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"unfreeze": 1}, "unfreeze must be left out without layers to --freeze, but is 1"),
        ({"freeze": HEAD, "unfreeze": 2}, "unfreeze must be from 1 to below the 2 epochs, but is 2"),
        (
            {"freeze": HEAD, "unfreeze": 1, "strategy": "fsdp", "devices": 2},
            "unfreeze must be left out with strategy fsdp",
        ),
        ({"freeze": " "}, "freeze must be paths of layers"),
    ],
)
def test_values_that_no_run_could_have(changes, answer):
    with pytest.raises(UserError, match=answer):
        small(**changes)
