"""Weights by gradients: a plain loop, what is fixed and when, a resumed run, and what is refused."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from selfdistill.errors import UserError
from selfdistill.train.optim.balance import MEASURED, GradientBalance
from selfdistill.train.run import run
from tests.helpers.small_runs import CutAt, Interrupted, command, goes_on_bitwise, log, small, trainer, weights

SHARE = 0.3
SMALL = {"limit": 320, "balance": SHARE, "epochs": 2}


def losses_of(made, batch):
    return made.distiller(batch, made.progress(0), made.train_step.memory.slots[0]).losses


def measured(made, batches, names):
    """The norms of the gradients of the task and of each term, as a plain loop would sum them."""
    layer3 = list(made.distiller.student.layer3.parameters())
    sums = dict.fromkeys(names, 0.0)
    for batch in batches:
        losses = losses_of(made, batch)
        for name in names:
            own = sum(loss for part, loss in losses.items() if part.split(".")[0] == name)
            found = torch.autograd.grad(own, layer3, retain_graph=True, allow_unused=True)
            sums[name] += sum(float(each.square().sum()) for each in found if each is not None) ** 0.5
    return sums


def test_the_weight_is_that_of_a_plain_loop(digits, tmp_path):
    made = trainer(small("csd()", **SMALL), digits, tmp_path)
    made.distiller.double().train()
    batches = [part[0]._replace(inputs=part[0].inputs.double()) for part in made.batches(0)][:4]
    balance = GradientBalance(made.distiller, SHARE, steps=1)
    for batch in batches:
        balance.taken = 0  # each is the last step of an epoch of one
        balance.measure(losses_of(made, batch), 1.0)
    fixed = balance.fix()
    norms = measured(made, batches, ["task", "center"])
    assert fixed == {"task": 1.0, "center": pytest.approx(SHARE * norms["task"] / norms["center"], rel=1e-6)}
    assert made.distiller.weight("center") == fixed["center"]


@pytest.mark.parametrize("model", ["resnet8", "vgg8", "wrn-10-1"])
def test_the_share_is_met_where_it_was_measured(digits, tmp_path, model):
    made = trainer(small("drg() + csd()", **SMALL, model=model), digits, tmp_path)
    batches = [part[0] for part in made.batches(0)][-2:]
    balance = GradientBalance(made.distiller.train(), SHARE, steps=1)
    again = GradientBalance(made.distiller, SHARE, steps=1)
    for each in (balance, again):
        for batch in batches:
            each.taken = 0
            each.measure(losses_of(made, batch), 1.0)
        each.fix()
    for name, (task, term) in zip(again.names, again.norms.tolist(), strict=True):
        assert made.distiller.weight(name) * term / task == pytest.approx(SHARE, rel=0.1)


def test_the_weights_are_fixed_after_the_first_epoch_and_recorded(digits, tmp_path):
    made = trainer(small("csd()", **SMALL | {"epochs": 3}), digits, tmp_path)
    rows = made.fit()
    assert rows[0]["weights"] == rows[1]["weights"] == rows[2]["weights"] == made.distiller.weights
    assert rows[0]["weights"]["center"] != made.distiller.method.weights["center"]
    assert rows[0]["weights"]["task"] == 1.0


@pytest.mark.parametrize("steps", [3, 16, 64, 1000])
def test_steps_are_measured_to_the_end_of_the_epoch(digits, tmp_path, steps):
    balance = GradientBalance(trainer(small("csd()", **SMALL), digits, tmp_path).distiller, SHARE, steps)
    chosen = [step for step in range(1, steps + 1) if balance._is_measured(step)]
    assert chosen[-1] == steps
    assert 1 <= len(chosen) <= 2 * MEASURED
    assert len(chosen) == 1 or chosen[0] > 0.7 * steps


def test_a_term_without_gradient_keeps_its_weight(digits, tmp_path):
    made = trainer(small("csd(weight=2)", **SMALL), digits, tmp_path)
    balance = GradientBalance(made.distiller, SHARE, steps=1)
    losses = losses_of(made, next(made.batches(0))[0])
    balance.measure(losses | {"center": losses["center"].detach()}, 1.0)
    assert balance.fix()["center"] == 2.0


def test_a_run_goes_on_bitwise_after_its_first_epoch(digits, tmp_path):
    goes_on_bitwise(small("lightskd()", **SMALL), digits, tmp_path)


@pytest.mark.parametrize("sam", [None, 0.05])
def test_a_run_goes_on_bitwise_from_a_step_between_two_that_were_measured(digits, tmp_path, sam):
    config = small("lightskd()", **SMALL, sam=sam)
    run(config, tmp_path / "whole", splits=digits)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "cut", splits=digits, listener=CutAt(9), save_every=0.0)
    run(config, tmp_path / "cut", splits=digits)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


def test_the_task_is_what_a_share_of_one_equals(digits, tmp_path):
    made = trainer(small("label_smoothing() + csd()", **SMALL | {"balance": 1.0}), digits, tmp_path)
    batch = next(made.batches(0))[0]
    balance = GradientBalance(made.distiller.train(), 1.0, steps=1)
    balance.measure(losses_of(made, batch), 1.0)
    task, term = balance.norms[0].tolist()
    loss = cross_entropy(made.distiller.student(batch.inputs), batch.labels, label_smoothing=0.1)
    found = torch.autograd.grad(loss, [*made.distiller.student.layer3.parameters()])
    assert task == pytest.approx(float(torch.nn.utils.get_total_norm(found)), rel=0.05)
    assert balance.fix()["center"] == pytest.approx(task / term)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ce()"], "--balance: ce() has no term beside the task to balance; leave it out"),
        (
            ["csd()", "--epochs", "1"],
            "--balance sets weights after the first epoch, of 4 steps, but the run has 4 steps; train for more epochs, "
            "or leave it out",
        ),
        (["csd()", "--compile"], "balance must be left out with --compile, which keeps no graph to measure"),
        (["csd()", "--strategy", "fsdp"], "balance must be left out with --strategy fsdp, whose weights are shards"),
    ],
)
def test_mistakes_are_told(capsys, tmp_path, words, told):
    options = ["--balance", 0.3, "--limit", 256, "--accelerator", "cpu", "--out", tmp_path / "run"]
    status, _, err = command(capsys, "train", *words, *options)
    assert status == 2
    assert told in err


def test_a_share_is_above_zero():
    with pytest.raises(UserError, match=r"^balance must be above 0, but is 0\.0$"):
        small("csd()", balance=0.0)
