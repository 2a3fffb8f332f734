"""A run that is put down and taken up goes on bitwise as if nothing had happened."""

import io

import pytest
import torch
from torch.testing import assert_close

from selfdistill.step import memory
from tests.contract.steps import EXPRESSIONS, Training, batch, clock, distil, parameters
from tests.helpers.networks import network


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_saved_and_taken_up_is_bitwise_the_same(text):
    whole = Training(distil(text)).steps(4)
    file = io.BytesIO()
    torch.save(Training(distil(text)).steps(2).state(), file)
    file.seek(0)
    other = distil(text, student=network(seed=5), seed=7)  # nothing of the new one may remain
    again = Training(other).take_up(torch.load(file, weights_only=True)).steps(2)
    assert torch.equal(parameters(whole.distiller), parameters(again.distiller))
    for name in whole.log[2]:
        assert all(torch.equal(whole.log[2 + k][name], again.log[k][name]) for k in range(2))
    assert_close(again.memories, whole.memories, rtol=0, atol=0)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_memory_is_full_precision_finite_and_plain(text):
    distiller = distil(text)
    training = Training(distiller)
    with torch.autocast("cpu", torch.bfloat16):
        training.steps(2)
    leaves = list(memory.leaves(training.memories))
    if not leaves:
        pytest.skip("it remembers nothing")
    for leaf in leaves:
        assert leaf.dtype == torch.float32
        assert leaf.isfinite().all()
        assert not leaf.requires_grad


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_infinite_batch_leaves_memory_as_it_was(text):
    training = Training(distil(text, "group")).steps(2)
    bad = batch(2, training.distiller.method)
    bad = bad._replace(inputs=bad.inputs.index_fill(0, torch.tensor([0]), torch.inf))
    made = training.distiller(bad, clock(2), training.memories)
    kept = memory.commit(training.memories, made.remembered)
    assert all(leaf.isfinite().all() for leaf in memory.leaves(kept))
    finite = {n: all(leaf.isfinite().all() for leaf in memory.leaves(m)) for n, m in made.remembered.items()}
    for name in (name for name, whole in finite.items() if not whole):
        assert_close(kept[name], training.memories[name], rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["batch", "tokens"])
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_every_trainable_parameter_gets_a_gradient_at_every_step(text, kind):
    distiller = distil(text, kind)
    training = Training(distiller)
    for step in range(3):
        training.steps(1)
        idle = [name for name, each in distiller.named_parameters() if each.requires_grad and each.grad is None]
        assert not idle, f"step {step}"


@pytest.mark.parametrize("kind", ["batch", "tokens"])
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_losses_are_finite_scalars_with_the_tasks_own_graph(text, kind):
    log = Training(distil(text, kind)).steps(3).log
    for losses in log:
        assert all(loss.shape == () and loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_heads_do_not_depend_on_other_draws(text):
    one = distil(text)
    torch.rand(17)
    other = distil(text)
    assert torch.equal(parameters(one), parameters(other))
