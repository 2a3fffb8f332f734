import os
import signal

import pytest
import torch

from selfdistill import errors
from selfdistill.methods import REGISTRY, parse_method
from selfdistill.models import create
from selfdistill.train import trainer as module
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.persist.checkpoint import CheckpointError
from selfdistill.train.run import run
from tests.helpers.small_runs import small, trainer, weights

METHODS = [f"{name}()" for name in REGISTRY]


def teachers(text):
    return {role: create("resnet8", 10, size=8) for role in parse_method(text).teachers}


@pytest.mark.parametrize("text", METHODS)
def test_every_method_starts_from_the_same_student_and_sees_the_same_images(text, digits, tmp_path):
    plain = trainer(small(), digits, tmp_path)
    torch.rand(5)
    other = trainer(small(text), digits, tmp_path, teachers(text))
    ours, theirs = plain.distiller.student.state_dict(), other.distiller.student.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    if "order" in parse_method(text).needs:
        pytest.skip("it asks for another order")
    for epoch in range(2):
        for one, two in zip(plain.loader.epoch(epoch), other.loader.epoch(epoch), strict=True):
            assert torch.equal(one.index, two.index)
            torch.testing.assert_close(altered(one.inputs, two, parse_method(text)), two.inputs)


def altered(images, batch, made):
    """The images as the batch has them mixed or erased."""
    if made.erasing:
        return torch.where(batch.inputs == 0, 0.0, images)
    if "swapped" in batch.extra:
        return torch.where(batch.extra["swapped"], batch.inputs, images)
    if batch.mix is None:
        return images
    others = images[batch.mix.partners[:, 1]]
    if batch.mix.region is not None:
        return torch.where(batch.mix.region, images, others)
    share = batch.mix.shares[:, :1, None, None]
    return share * images + (1 - share) * others


def test_bf16_is_near_to_full_precision_and_not_it(digits, tmp_path):
    full, half = (
        trainer(small("lightskd()", precision=each, epochs=1), digits, tmp_path).fit() for each in ("32", "bf16")
    )
    assert half[0]["losses"] == pytest.approx(full[0]["losses"], rel=0.05)
    assert half[0]["losses"] != full[0]["losses"]


def test_a_row_tells_losses_accuracy_rate_and_speed(digits, tmp_path):
    rows = trainer(small("lightskd()"), digits, tmp_path).fit()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0]["lr"] == 0.1
    assert rows[1]["lr"] == pytest.approx(0.05)
    assert list(rows[0]["losses"]) == ["task", "guidance.learn", "guidance.mimic", "shape"]
    assert 0 < rows[1]["losses"]["task"] < rows[0]["losses"]["task"] < 3
    assert 0 < rows[0]["train_top1"] < rows[1]["train_top1"] <= 100
    assert rows[1]["images_per_second"] == pytest.approx(6 * 32 / rows[1]["seconds"])
    assert "validation_top1" not in rows[0]


def test_the_first_step_is_the_gradient_step_by_hand(digits, tmp_path):
    config = small(batch_size=200, epochs=1, momentum=0.0, weight_decay=0.0, lr=0.5)
    made = trainer(config, digits, tmp_path)
    batch = next(iter(made.loader.epoch(0)))
    model = create("resnet8", 10, size=8)
    model.load_state_dict(made.distiller.student.state_dict())
    loss = torch.nn.functional.cross_entropy(model(batch.inputs), batch.labels)
    loss.backward()
    want = [each.detach() - 0.5 * each.grad for each in model.parameters()]
    (row,) = made.fit()
    assert row["losses"]["task"] == pytest.approx(loss.item(), rel=1e-5)
    for one, two in zip(made.distiller.student.parameters(), want, strict=True):
        torch.testing.assert_close(one.detach(), two, rtol=1e-4, atol=1e-5)


def test_each_step_is_made_at_its_own_rate(digits, tmp_path):
    class Rates(Listener):
        rates = ()

        def on_step(self):
            self.rates += tuple(group["lr"] for group in made.train_step.optimizer.param_groups)

    display = Rates()
    config = small(batch_size=100, schedule="step", milestones=(0.5,), warmup=1, decay_norms=False)
    made = trainer(config, digits, tmp_path, listener=display)
    made.fit()
    assert display.rates == pytest.approx((0.05, 0.05, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01))


def test_it_trains_in_train_mode_whatever_the_mode_before(digits, tmp_path):
    made = trainer(small(), digits, tmp_path)
    made.train_step.run.eval()
    made.fit()
    met = [value for key, value in made.distiller.student.state_dict().items() if key.endswith("tracked")]
    assert met == [12] * len(met)


def test_memory_that_forgets_starts_again_at_each_epoch(digits, tmp_path):
    class Recorder(Listener):
        met = ()

        def on_step(self):
            self.met += (made.train_step.memory.slots[0]["shape"][1].item(),)

    made = trainer(small("dsr()", batch_size=200), digits, tmp_path, listener=Recorder())
    rows = made.fit()
    assert [row["losses"]["shape"] for row in rows] == [0, 0]  # a batch an epoch: none came before
    kept = trainer(small("dsr(forget='never')", batch_size=200), digits, tmp_path)
    assert [row["losses"]["shape"] > 0 for row in kept.fit()] == [False, True]


def test_on_run_end_is_called_when_a_step_raises(digits, tmp_path):
    class Calls(Listener):
        calls = ()

        def on_run_start(self, title, epochs, steps):
            self.calls += (("start", title, epochs, steps),)

        def on_step(self):
            raise RuntimeError("stop")

        def on_run_end(self):
            self.calls += ("end",)

    display = Calls()
    with pytest.raises(RuntimeError, match="stop"):
        trainer(small("drg()"), digits, tmp_path, listener=display).fit()
    assert display.calls == (("start", "drg(), resnet8, seed 0", 2, 6), "end")


def test_the_seed_draws_the_heads_too(digits, tmp_path):
    one, two, again = (trainer(small("drg()", seed=seed), digits, tmp_path) for seed in (0, 1, 0))
    heads = [each.distiller.terms.state_dict() for each in (one, two, again)]
    key = next(key for key, value in heads[0].items() if value.dim() > 1)
    assert not torch.equal(heads[0][key], heads[1][key])
    assert torch.equal(heads[0][key], heads[2][key])


def test_random_streams_are_taken_up(digits, tmp_path):
    made = trainer(small(), digits, tmp_path)
    state, first = made.state_dict(), torch.rand(3)
    other = trainer(small(), digits, tmp_path)
    torch.rand(7)
    other.load_state_dict(state)
    assert torch.equal(torch.rand(3), first)


def test_a_state_of_another_run_is_refused(digits, tmp_path):
    state = trainer(small(), digits, tmp_path).state_dict()
    with pytest.raises(CheckpointError, match=r"it has another configuration or number of processes"):
        trainer(small(lr=0.2), digits, tmp_path).require_own(state)
    trainer(small(), digits, tmp_path).require_own(state)
    with pytest.raises(CheckpointError, match=r"config must be an object, but is missing"):
        trainer(small(), digits, tmp_path).require_own({"weights": 1})


def test_short_epochs_share_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EPOCH_SAVE_EVERY", 3600.0)
    saved = []

    class Saves(Listener):
        def on_checkpoint(self, path):
            saved.append(path)

    run(small(epochs=3), tmp_path, listener=Saves())
    assert len(saved) == 1  # the last epoch's


def test_a_signal_in_a_short_epoch_leaves_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EPOCH_SAVE_EVERY", 3600.0)

    class Terminate(Listener):
        def on_epoch(self, row):
            if row["epoch"] == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    run(small(epochs=3), tmp_path / "once")
    with pytest.raises(errors.Interrupted, match="the checkpoint is in"):
        run(small(epochs=3), tmp_path / "twice", listener=Terminate())
    assert (tmp_path / "twice" / "last.ckpt").is_file()
    run(small(epochs=3), tmp_path / "twice")
    assert weights(tmp_path / "once") == weights(tmp_path / "twice")
