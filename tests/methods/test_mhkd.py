import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from selfdistill.functional import kl_divergence
from selfdistill.methods import mhkd
from selfdistill.terms import ModelOutputs
from tests.helpers.step_contexts import build_context, only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}
STAGES = {f"stage{k}": (8, 3, 4, 4) for k in (1, 2, 3)}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


class Fixed(nn.Module):
    """Heads that give what they were told to."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, features, rows):
        return self.logits


def built(own=None, deep=None, **options):
    term = only(mhkd(**options), "heads")
    term.build(build_context(**STAGES, logits=(8, 9), views={"teacher": STAGES}))
    if own is not None:
        term.own, term.theirs = Fixed(own), Fixed(deep)
    return term


def loss(term, logits, teacher, labels, alpha):
    maps = {name: torch.zeros(shape) for name, shape in STAGES.items()}
    views = {"teacher": ModelOutputs(teacher, None, maps)}
    step = step_context(logits, labels, features=maps, views=views)
    return (1 - alpha) * step.cross_entropy(logits) + total(term.loss(step))


def test_it_is_the_published_loss(reference):
    want = reference("mhkd")
    names = [f"{side}{k}" for side in ("student", "teacher") for k in (0, 1, 2)]
    student, teacher = ([want[f"{side}{k}"].requires_grad_() for k in (0, 1, 2)] for side in ("student", "teacher"))
    term = built(student[1:], teacher[1:], temperature=want["T"].item(), beta=want["beta"].item(), detach=False)
    alpha = want["alpha"][1].item()  # as published, the final pair has the first head's
    term.shares = [alpha, *want["alpha"][1:].tolist()]
    found = loss(term, student[0], teacher[0], want["targets"], alpha)
    found.backward()
    assert_close(found.detach(), want["loss"], **EXACT)
    for name in names:
        assert_close(want[name].grad, want[f"grad_{name}"], **EXACT)


def test_detached_heads_of_the_teacher_learn_from_labels_alone():
    own, deep = ([torch.randn(8, 9).requires_grad_() for _ in range(2)] for _ in range(2))
    labels, logits = torch.arange(8), torch.randn(8, 9)
    value = loss(built(own, deep), logits, torch.randn(8, 9), labels, 0.1)
    grads = torch.autograd.grad(value, deep)
    for head, grad in zip(deep, grads, strict=True):
        assert_close(grad, torch.autograd.grad(F.cross_entropy(head, labels), head)[0])


def test_weights_of_labels_and_teacher_by_hand():
    own, deep = ([torch.randn(8, 9) for _ in range(2)] for _ in range(2))
    logits, teacher, labels = torch.randn(8, 9), torch.randn(8, 9), torch.arange(8)
    found = loss(built(own, deep, alpha=0.4, beta=0.3, temperature=2.0), logits, teacher, labels, 0.4)

    def mixed(student, target):
        return 0.6 * F.cross_entropy(student, labels) + 0.4 * kl_divergence(student, target, 2.0)

    heads = sum(F.cross_entropy(u, labels) + 0.3 * mixed(v, u) for v, u in zip(own, deep, strict=True))
    assert_close(found, mixed(logits, teacher) + heads)
    assert mhkd(alpha=0.4).weights == {"task": 0.6, "heads": 1.0}


def test_the_last_stage_has_no_head_unless_it_is_the_only_one():
    term = built()
    assert (term.tapped, term.deep) == (("stage1", "stage2"), ("stage1", "stage2"))
    term.build(build_context(**STAGES, logits=(8, 9), views={"teacher": {"stage1": (8, 5, 2, 2)}}))
    assert (term.tapped, term.deep) == (("stage3",), ("stage1",))
