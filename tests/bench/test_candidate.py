from dataclasses import replace

import pytest
import torch

from selfdistill.bench.candidate import WARMUP_STEPS, Candidate
from selfdistill.data import load
from selfdistill.errors import UserError
from tests.helpers.small_runs import small, trainer

CONFIG = small(data="fake:classes=4,size=16,train=70", limit=None)


@pytest.fixture(scope="module")
def splits():
    return load(CONFIG.data)


def candidate(method, splits):
    return Candidate(method, replace(CONFIG, method=method), splits)


@pytest.mark.parametrize("method", ["lightskd()", "dlb()", "ps_kd()"])
def test_steps_equal_those_of_a_run(method, splits, tmp_path):
    run = trainer(replace(CONFIG, method=method), splits, tmp_path)
    run.train_step.run.train()
    for number, batch in enumerate([*run.batches(0), *run.batches(1)]):
        run.train_step.step(batch, run.progress(number), run.rate(number))
    timed = candidate(method, splits)
    for _ in range(4 - WARMUP_STEPS):
        seconds = timed.time_step()
        assert 0 < seconds.data < seconds.step
    for one, other in zip(timed.trainer.distiller.parameters(), run.distiller.parameters(), strict=True):
        assert one.equal(other)


def test_terms_alone_change_neither_weights_nor_memories(splits):
    made = candidate("lightskd() + csd()", splits)
    weights = [each.clone() for each in made.trainer.distiller.parameters()]
    remembered = made.trainer.train_step.memory.slots
    assert made.terms_alone() > 0
    assert made.trainer.train_step.memory.slots is remembered
    assert all(each.grad is None for each in made.trainer.distiller.student.parameters())
    for before, after in zip(weights, made.trainer.distiller.parameters(), strict=True):
        assert before.equal(after)


def test_terms_alone_backpropagate_only_to_the_recorded_outputs(splits):
    made = candidate("drg()", splits)
    _, anchor, _ = made._recorded
    made.terms_alone()
    assert anchor.logits.grad.abs().sum() > 0
    assert anchor.features["stage2"].grad.abs().sum() > 0
    assert anchor.embedding.grad.abs().sum() == 0
    assert all(each.grad is not None for each in made.trainer.distiller.terms.parameters())


@pytest.mark.parametrize(("method", "passes"), [("ce()", 3), ("kd()", 4), ("cs_kd()", 4), ("ddgsd()", 6), ("dml()", 6)])
def test_flops_follow_from_the_passes(method, passes, splits):
    """Backward costs twice a forward, and a peer trains too."""
    plain = candidate("ce()", splits).flops()
    assert candidate(method, splits).flops() / plain == pytest.approx(passes / 3, rel=0.02)


def test_two_views_in_one_batch_take_more_memory(splits):
    plain, twins = candidate("ce()", splits).bytes(), candidate("ddgsd()", splits).bytes()
    assert 1.5 * plain < twins < 2 * plain


def test_a_teacher_of_another_architecture_is_timed_in_for(splits):
    small_teacher, large_teacher = (candidate(f"kd(teacher={name!r})", splits) for name in ("resnet8", "resnet20"))
    assert large_teacher.flops() > 1.2 * small_teacher.flops()


def test_a_method_that_does_not_fit_is_refused(splits):
    with pytest.raises(UserError, match=r"nothing to tap at 'stage9'"):
        candidate("drg(tap='stage9')", splits)


def test_the_global_random_state_has_no_effect(splits):
    torch.manual_seed(5)
    one = candidate("drg()", splits)
    torch.manual_seed(6)
    other = candidate("drg()", splits)
    for first, second in zip(one.trainer.distiller.parameters(), other.trainer.distiller.parameters(), strict=True):
        assert first.equal(second)
