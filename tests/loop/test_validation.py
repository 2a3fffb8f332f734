"""Validation inside the loop: a loss, and nothing else."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import selfdistill as sd
from tests.helpers.loops import ALL, IMAGES, LABELS, batch, memories, sgd, steps
from tests.helpers.networks import network


@pytest.mark.parametrize("text", [ALL, "mixup()", "label_smoothing()"])
def test_validation_inside_the_loop_changes_nothing(text):
    def run(validate):
        teach = sd.teach(network(), text, IMAGES)
        optimizer, losses = sgd(teach), []
        for seed in range(4):
            losses += steps(teach, optimizer, 1, start=seed)
            if validate:
                teach.student.eval()
                with torch.no_grad():
                    shown = teach(*batch(50, rows=5))
                assert shown.isfinite()
                teach.student.train()
        return losses

    assert all(torch.equal(one, other) for one, other in zip(run(True), run(False), strict=True))


def test_in_eval_mode_a_call_gives_the_tasks_loss():
    teach = sd.teach(network("group"), ALL, IMAGES)
    teach.student.eval()
    with pytest.warns(UserWarning, match="in eval mode"):
        teach(IMAGES, LABELS)
    assert_close(teach(IMAGES, LABELS), F.cross_entropy(teach.student(IMAGES), LABELS))


def test_eval_mode_moves_no_memory_and_makes_no_view():
    teacher = network(seed=3)
    teach = sd.teach(network(), "dsr() + csd() + kd()", IMAGES, networks={"teacher": teacher})
    teach(IMAGES, LABELS)
    before = [leaf.clone() for leaf in memories(teach)]
    passes = []
    teacher.register_forward_hook(lambda *_: passes.append(1))
    teach.eval()
    with torch.no_grad():
        teach(*batch(1, rows=3))
        teach.train()
        teach(*batch(2, rows=3))
    assert not passes
    assert all(torch.equal(one, other) for one, other in zip(before, memories(teach), strict=True))
