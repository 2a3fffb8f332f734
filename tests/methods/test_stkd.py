import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.data.batch import Batch, Mix
from selfdistill.data.mixing import Mixing, mix_batch, mixed
from selfdistill.methods import kd, mixup, stkd
from selfdistill.step import Distiller
from tests.helpers.step_contexts import clock, only, step_context

ROWS, CLASSES = 6, 4


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, CLASSES),
    )  # fmt: skip


def batch(seed=0):
    draws = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(ROWS, 3, 8, 8, generator=draws), torch.randint(0, CLASSES, (ROWS,), generator=draws))


def step(method, at, teacher=None, student=None):
    networks = {"teacher": teacher or network(9)} if method.networks else {}
    distiller = Distiller(student or network(1), method, at.inputs, networks=networks)
    losses, *_ = distiller(at, clock(), {})
    return distiller, losses


def whole(rows=ROWS):
    """A mix whose first image has all."""
    return Mix(
        torch.tensor([1.0, 0.0]).expand(rows, 2),
        torch.stack([torch.arange(rows), torch.arange(rows).flip(0)], 1),
    )


def log_softmax(row):
    top = max(row)
    total = math.log(sum(math.exp(x - top) for x in row)) + top
    return [x - total for x in row]


def test_loss_is_the_plain_loop():
    draws = torch.Generator().manual_seed(3)
    logits, teacher = (torch.randn(ROWS, CLASSES, generator=draws, dtype=torch.float64) for _ in range(2))
    labels = torch.randint(0, CLASSES, (ROWS,), generator=draws)
    mix = Mixing().draw(torch.Size((ROWS, 3, 8, 8)), draws)
    mix = Mix(mix.shares.double(), mix.partners)
    weight, temperature = 0.9, 4.0
    total = 0.0
    for b in range(ROWS):
        own = log_softmax(logits[b].tolist())
        learn = sum(-mix.shares[b, k].item() * own[labels[mix.partners[b, k]]] for k in range(2))
        soft = log_softmax((logits[b] / temperature).tolist())
        told = log_softmax((teacher[b] / temperature).tolist())
        told = sum(math.exp(t) * (t - s) for t, s in zip(told, soft, strict=True))
        total += (1 - weight) * learn + weight * temperature**2 * told
    method = stkd(weight=weight, temperature=temperature)
    shown = step_context(logits, labels, views={"teacher": teacher}, mix=mix)
    got = sum(method.weights[name] * term.loss(shown) for name, term in method.all_terms.items())
    assert_close(got.item(), total / ROWS, rtol=1e-9, atol=0)


def test_a_share_of_one_is_ordinary_kd():
    clean, teacher = batch(), network(9)
    one, mixed_losses = step(stkd(), mix_batch(clean, whole()), teacher)
    other, losses = step(kd(), clean, teacher)
    assert torch.equal(one.total(mixed_losses), other.total(losses))


def test_no_weight_is_mixup():
    at = mix_batch(batch(), Mixing().draw(torch.Size((ROWS, 3, 8, 8)), torch.Generator().manual_seed(1)))
    one, losses = step(stkd(weight=0.0), at)
    other, plain = step(mixup(), at)
    assert torch.equal(one.total(losses), other.total(plain))


def test_a_student_like_its_teacher_has_nothing_to_learn():
    at = mix_batch(batch(), Mixing().draw(torch.Size((ROWS, 3, 8, 8)), torch.Generator().manual_seed(1)))
    teacher, student = network(4).eval(), network(4).eval()
    _, losses = step(stkd(), at, teacher, student)
    assert abs(losses["virtual"].item()) < 1e-6


def test_the_teacher_stays_as_it_was():
    teacher = network(9)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    distiller, losses = step(stkd(), batch(), teacher)
    distiller.train()
    distiller.total(losses).backward()
    distiller(batch(1), clock(), {})
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert all(each.grad is None for each in teacher.parameters())
    assert not teacher.training


def test_the_mixture_of_clean_predictions():
    teacher, draws = network(9), torch.Generator().manual_seed(1)
    mix = Mixing().draw(torch.Size((ROWS, 3, 8, 8)), draws)
    at = mix_batch(batch(), mix, clean=True)
    distiller, losses = step(stkd(target="mixed predictions", temperature=3.0), at, teacher)
    told = (teacher(batch().inputs) / 3.0).softmax(dim=1)
    target = mix.shares[:, :1] * told + mix.shares[:, 1:] * told[mix.partners[:, 1]]
    log_p = (distiller.student(at.inputs) / 3.0).log_softmax(dim=1)
    want = 9.0 * (target * (target.log() - log_p)).sum(dim=1).mean()
    assert_close(losses["virtual"], want)
    assert stkd(target="mixed predictions").mixing.clean


@pytest.mark.parametrize("per", ["batch", "row"])
@pytest.mark.parametrize("images", [2, 3, 5])
def test_mixing_is_a_weighted_sum(per, images):
    mix = Mixing(per=per, images=images).draw(torch.Size((ROWS, 3, 8, 8)), torch.Generator().manual_seed(0))
    assert mix.shares.shape == mix.partners.shape == (ROWS, images)
    assert_close(mix.shares.sum(dim=1), torch.ones(ROWS))
    assert torch.equal(mix.partners[:, 0], torch.arange(ROWS))
    assert (mix.shares.unique(dim=0).shape[0] == 1) == (per == "batch")
    rows = batch().inputs
    want = torch.stack([sum(mix.shares[b, k] * rows[mix.partners[b, k]] for k in range(images)) for b in range(ROWS)])
    assert_close(mixed(rows, mix), want)


def test_two_images_are_mixed_by_a_beta():
    drawn = Mixing(alpha=0.4, per="row").draw(torch.Size((4000, 3, 8, 8)), torch.Generator().manual_seed(0))
    shares = drawn.shares[:, 0]
    assert abs(shares.mean() - 0.5) < 0.02
    variance = 0.25 / (2 * 0.4 + 1)  # of Beta(0.4, 0.4)
    assert abs(shares.var() - variance) < 0.01


def test_weights_of_task_and_teacher():
    assert stkd(weight=0.75).weights == {"task": 0.25, "virtual": 0.75}
    assert only(stkd(), "virtual").weight == 0.9
