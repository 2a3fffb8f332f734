"""Sharpness-aware minimization: a plain loop, what the second pass must not change, and what is refused."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.step import memory
from selfdistill.train.step import TrainStep
from tests.helpers.small_runs import goes_on_bitwise, small, trainer

RHO = 0.05
ADAMW = {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1}


def step(made, number=0, precise=False):
    batch = list(made.batches(0))[number]
    if precise:
        batch = tuple(part._replace(inputs=part.inputs.double()) for part in batch)
    made.train_step.run.train()
    return made.train_step.step(batch, made.progress(number), made.config.lr), batch


def in_float64(config, digits, folder):
    made = trainer(config, digits, folder)
    made.distiller.double()  # which makes new buffers
    made.train_step = TrainStep(made.distiller, config, made.fabric, made.train_step.training_info)
    return made


def plain_step(student, optimizer, batch, clip):
    """SAM as in the paper; statistics of the first pass."""
    loss = cross_entropy(student(batch.inputs), batch.labels)
    gradients = torch.autograd.grad(loss, list(student.parameters()))
    statistics = {name: each.clone() for name, each in student.named_buffers()}
    norm = torch.cat([each.flatten() for each in gradients]).norm()
    with torch.no_grad():
        moves = [RHO * each / norm for each in gradients]
        for each, move in zip(student.parameters(), moves, strict=True):
            each += move
    optimizer.zero_grad()
    cross_entropy(student(batch.inputs), batch.labels).backward()
    with torch.no_grad():
        for each, move in zip(student.parameters(), moves, strict=True):
            each -= move
        for name, each in student.named_buffers():
            each.copy_(statistics[name])
    torch.nn.utils.clip_grad_norm_(student.parameters(), clip)
    optimizer.step()
    return loss.detach()


def test_it_is_a_plain_loop_in_float64(digits, tmp_path):
    made = in_float64(small(sam=RHO, clip_norm=0.5, **ADAMW), digits, tmp_path)
    student = copy.deepcopy(made.distiller.student).train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=0.01, weight_decay=0.1)
    for number in range(3):
        (losses, _), (batch,) = step(made, number, precise=True)
        loss = plain_step(student, optimizer, batch, clip=0.5)
        assert_close(losses["task"], loss, rtol=1e-9, atol=0)
        for name, each in made.distiller.student.state_dict().items():
            assert_close(each, student.state_dict()[name], rtol=1e-7, atol=1e-10, msg=name)


def statistics_kept(module, _):
    module.eval()


def test_parts_are_the_whole_batch(digits, tmp_path):
    whole, parts = (in_float64(small(sam=RHO, accumulate=each, **ADAMW), digits, tmp_path) for each in (1, 2))
    for made in (whole, parts):
        for module in made.distiller.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # of a part, else
                module.register_forward_pre_hook(statistics_kept)
        step(made, precise=True)
    for one, other in zip(whole.distiller.parameters(), parts.distiller.parameters(), strict=True):
        assert_close(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("text", ["ps_kd()", "lightskd() + csd()", "dlb()"])
def test_statistics_memories_and_losses_are_those_of_one_pass_at_the_weights(text, digits, tmp_path):
    plain, sharp = (trainer(small(text, sam=each), digits, tmp_path) for each in (None, RHO))
    (one, _), (other, _) = step(plain)[0], step(sharp)[0]
    assert {name: each.item() for name, each in one.items()} == {name: each.item() for name, each in other.items()}
    statistics = dict(sharp.distiller.named_buffers())
    for name, each in plain.distiller.named_buffers():
        assert torch.equal(each, statistics[name]), name
    found, wanted = (
        [each for slot in made.train_step.memory.slots for value in slot.values() for each in memory.leaves(value)]
        for made in (sharp, plain)
    )
    assert len(found) == len(wanted)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    weights_of = [torch.cat([each.flatten() for each in made.distiller.parameters()]) for made in (plain, sharp)]
    assert not torch.equal(*weights_of)


def test_both_passes_draw_the_same_numbers_and_leave_the_state_of_one(digits, tmp_path):
    drawn = []
    made = trainer(small(sam=RHO), digits, tmp_path)
    made.distiller.student.register_forward_pre_hook(lambda *_: drawn.append(torch.rand(3)))
    torch.manual_seed(5)
    step(made)
    after = torch.rand(1)
    torch.manual_seed(5)
    first = torch.rand(3)
    assert len(drawn) == 2
    assert torch.equal(drawn[0], first)
    assert torch.equal(drawn[1], first)
    assert torch.equal(after, torch.rand(1))


def test_a_slope_that_overflows_in_float16_takes_no_step(digits, tmp_path):
    made = trainer(small(sam=RHO, precision="16"), digits, tmp_path)
    before = {name: each.clone() for name, each in made.distiller.state_dict().items()}
    scale, calls = made.train_step.scale.scale.item(), []

    def overflow(grad):
        calls.append(1)
        return grad * torch.inf if len(calls) == 1 else grad

    next(made.distiller.student.parameters()).register_hook(overflow)
    step(made)
    assert made.train_step.scale.scale.item() == scale / 2
    assert made.train_step.all_finite
    for name, each in made.distiller.state_dict().items():
        assert torch.equal(each, before[name]), name
    step(made, 1)
    assert any(not torch.equal(each, before[name]) for name, each in made.distiller.state_dict().items())


@pytest.mark.parametrize("changes", [{"accumulate": 2}, {"precision": "16", "clip_norm": 1.0}, ADAMW])
def test_an_interrupted_run_goes_on_bitwise(changes, digits, tmp_path):
    config = small("lightskd() + csd()", sam=RHO, **changes)
    goes_on_bitwise(config, digits, tmp_path)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"sam": 0.0}, "sam must be above 0, but is 0.0"),
        ({"sam": RHO, "strategy": "fsdp"}, "whose weights are shards: leave out --sam, or pass --strategy ddp"),
    ],
)
def test_values_that_no_run_could_have(changes, answer):
    with pytest.raises(UserError, match=answer):
        small(**changes)


def test_two_gradients_have_no_slope(digits, tmp_path):
    with pytest.raises(UserError, match=r"dot\(\) has a gradient for the task and another for distillation, and --sam"):
        trainer(small("dot()", sam=RHO), digits, tmp_path)
