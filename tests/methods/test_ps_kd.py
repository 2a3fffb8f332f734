import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.methods import mixup, ps_kd
from selfdistill.step import memory
from selfdistill.terms import Progress, TrainingInfo
from tests.helpers.step_contexts import clock, only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def term(**options):
    return only(ps_kd(**options), "task")


def fresh(made, images, classes):
    return made.start(TrainingInfo(classes, None, 8, torch.zeros((), dtype=torch.float64), images))


def step(made, table, logits, labels, index, epoch, epochs):
    """The loss, and the table after the step."""
    at = Progress(*(each.double() for each in clock(epoch, epochs)))
    value, rows = made(step_context(logits, labels, index=index, clock=at, memory=table))
    return value, memory.commit({"task": table}, {"task": rows})["task"]


def test_three_epochs_are_the_published_ones(reference):
    want = reference("pskd")
    epochs, batches, _, classes = want["logits"].shape
    made = term(alpha=want["alpha_T"].item())
    table = fresh(made, want["memory_after_epoch"].shape[1], classes)
    for epoch in range(epochs):
        for k in range(batches):
            logits = want["logits"][epoch, k].clone().requires_grad_()
            at = want["targets"][epoch, k], want["indices"][epoch, k]
            value, table = step(made, table, logits, *at, epoch, want["total_epochs"].item())
            loss = total(value)
            loss.backward()
            assert_close(loss.detach(), want["loss"][epoch, k], **EXACT)
            assert_close(logits.grad, want["grad_logits"][epoch, k], **EXACT)
        assert_close(table, want["memory_after_epoch"][epoch], **EXACT)


def test_the_task_of_a_control_is_cross_entropy(reference):
    want = reference("pskd")
    logits, labels, index = (want[key][1, 0] for key in ("logits", "targets", "indices"))
    table = want["memory_after_epoch"][0].clone()
    value, _ = step(term(), table, logits, labels, index, 1, 3)
    assert_close(value["learn"], F.cross_entropy(logits, labels), **EXACT)
    assert value["mimic"].abs() > 1e-3


def test_an_image_first_met_late_has_its_label():
    draws = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(4, 3, generator=draws, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    made = term()
    table = fresh(made, 6, 3)
    value, table = step(made, table, logits, labels, torch.arange(4), 5, 10)
    assert_close(total(value), F.cross_entropy(logits, labels))  # not scaled by the share of a row of zeros
    assert torch.equal(table[4:], torch.zeros(2, 3, dtype=torch.float64))
    assert_close(table[:4], logits.softmax(dim=1))


def test_the_share_grows_to_alpha():
    logits, labels = torch.randn(2, 3, dtype=torch.float64), torch.tensor([0, 1])
    past = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], dtype=torch.float64)
    value, _ = step(term(alpha=0.6), past.clone(), logits, labels, torch.arange(2), 9, 10)
    target = 0.4 * F.one_hot(labels, 3) + 0.6 * past
    assert_close(total(value), -(target * logits.log_softmax(dim=1)).sum(dim=1).mean())


def test_an_infinite_prediction_leaves_the_table_as_it_was():
    made, labels = term(), torch.tensor([0, 1])
    table = fresh(made, 2, 3)
    _, table = step(made, table, torch.randn(2, 3, dtype=torch.float64), labels, torch.arange(2), 0, 3)
    before = table.clone()
    _, table = step(made, table, torch.full((2, 3), torch.inf, dtype=torch.float64), labels, torch.arange(2), 1, 3)
    assert torch.equal(table, before)


def test_mixed_images_have_no_past():
    with pytest.raises(Exception, match="mixes the images"):
        ps_kd() + mixup()
