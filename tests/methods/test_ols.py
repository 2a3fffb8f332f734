import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import class_mean_predictions
from selfdistill.methods import mixup, ols
from selfdistill.terms import Progress, TrainingInfo
from tests.helpers.step_contexts import clock, only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def term(**options):
    return only(ols(**options), "task")


def fresh(made, classes):
    return made.start(TrainingInfo(classes, None, 8, torch.zeros(())))


def step(made, memory, logits, labels, epoch):
    at = Progress(*(each.double() for each in clock(epoch)))
    return made(step_context(logits, labels, clock=at, memory=memory))


def test_three_epochs_are_the_published_ones(reference):
    want = reference("ols")
    epochs, batches, _, classes = want["logits"].shape
    made = term(alpha=want["alpha"].item())
    memory = fresh(made, classes)
    for epoch in range(epochs):
        for k in range(batches):
            logits = want["logits"][epoch, k].clone().requires_grad_()
            value, memory = step(made, memory, logits, want["targets"][epoch, k], epoch)
            total(value).backward()
            assert_close(total(value).detach(), want["loss"][epoch, k], **EXACT)
            assert_close(logits.grad, want["grad_logits"][epoch, k], **EXACT)
        assert_close(class_mean_predictions(memory["sums"]), want["table_after_epoch"][epoch], **EXACT)


def test_the_task_of_a_control_is_cross_entropy(reference):
    want = reference("ols")
    logits, labels = want["logits"][0, 0], want["targets"][0, 0]
    value, _ = step(term(), fresh(term(), 5), logits, labels, 0)
    assert_close(value["learn"], F.cross_entropy(logits, labels), **EXACT)


def test_a_class_that_was_never_right_has_even_labels():
    made, labels = term(), torch.tensor([0, 1, 1])
    logits = 9.0 * F.one_hot(torch.tensor([0, 1, 2]), 3).double()  # the last row is wrong
    _, memory = step(made, fresh(made, 3), logits, labels, 0)
    assert memory["sums"][:, -1].tolist() == [1.0, 1.0, 0.0]
    assert_close(memory["sums"][1, :3], logits[1].softmax(dim=0), **EXACT)  # the wrong row is not in it
    _, memory = step(made, memory, logits, labels, 1)
    assert_close(memory["labels"].sum(dim=1), torch.ones(3), **EXACT)
    assert_close(memory["labels"][2], torch.full((3,), 1 / 3), **EXACT)


def test_the_first_epoch_has_labels_of_zeros_or_even_ones():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    hard, even = F.cross_entropy(logits, labels), -logits.log_softmax(dim=1).mean()
    assert_close(total(step(term(), fresh(term(), 3), logits, labels, 0)[0]), hard / 2)
    made = term(first="uniform", alpha=0.25)
    assert_close(total(step(made, fresh(made, 3), logits, labels, 0)[0]), hard / 4 + 3 * even / 4)


def test_labels_stay_within_an_epoch_and_sums_start_anew():
    made, labels = term(), torch.tensor([0, 1])
    memory = fresh(made, 2)
    for epoch, rows in ((0, 2), (0, 4), (1, 2), (1, 4), (2, 2)):
        before = memory["labels"]
        _, memory = step(made, memory, torch.eye(2) * (epoch + 1), labels, epoch)
        assert memory["sums"][:, -1].sum() == rows
        assert torch.equal(before, memory["labels"]) == (rows == 4 or epoch == 0)


def test_mixed_images_have_no_class():
    with pytest.raises(UserError, match="mixes the images"):
        ols() + mixup()
