import torch
from torch.testing import assert_close

from selfdistill.functional import clipped_probabilities, early_learning_loss
from selfdistill.methods import elr
from selfdistill.step import memory
from selfdistill.terms import TrainingInfo
from tests.helpers.step_contexts import only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def fresh(made, images, classes):
    return made.start(TrainingInfo(classes, None, 8, torch.zeros((), dtype=torch.float64), images))


def step(made, table, logits, labels, index):
    value, rows = made(step_context(logits, labels, index=index, memory=table))
    return value, memory.commit({"early": table}, {"early": rows})["early"]


def test_four_steps_are_the_published_ones(reference):
    want = reference("elr")
    method = elr(weight=want["lamda"].item(), momentum=want["beta"].item())
    made = only(method, "early")
    table = fresh(made, int(want["images"]), want["logits"].shape[2])
    for k, (logits, labels, index) in enumerate(zip(want["logits"], want["targets"], want["index"], strict=True)):
        own = logits.clone().requires_grad_()
        value, table = step(made, table, own, labels, index)
        loss = torch.nn.functional.cross_entropy(own, labels) + method.weights["early"] * value
        loss.backward()
        assert_close(loss.detach(), want["loss"][k], **EXACT)
        assert_close(own.grad, want["grad_logits"][k], **EXACT)
        assert_close(table, want["memory_after"][k], **EXACT)


def test_a_step_down_raises_agreement_with_the_mean(float64):
    logits, mean = torch.randn(6, 4).requires_grad_(), torch.rand(6, 4).softmax(dim=1)

    def agreement(at):
        return (clipped_probabilities(at) * mean).sum(dim=1).mean()

    early_learning_loss(clipped_probabilities(logits), mean).backward()
    assert agreement(logits - 0.1 * logits.grad) > agreement(logits)


def test_the_first_mean_is_a_small_share_of_the_prediction(float64):
    made, logits, index = only(elr(momentum=0.75), "early"), torch.randn(3, 4), torch.tensor([4, 0, 2])
    _, table = step(made, fresh(made, 6, 4), logits, torch.tensor([0, 1, 2]), index)
    assert_close(table[index], 0.25 * logits.softmax(dim=1), rtol=1e-3, atol=1e-4)
    assert torch.equal(table[[1, 3, 5]], torch.zeros(3, 4))
    _, table = step(made, table, logits, torch.tensor([0, 1, 2]), index)
    assert_close(table[index].sum(dim=1), torch.full((3,), 1 - 0.75**2))


def test_saturated_rows_stay_finite_and_pass_no_gradient():
    made, labels, index = only(elr(momentum=0.0), "early"), torch.tensor([0, 1]), torch.arange(2)
    logits = (1e4 * torch.eye(2, dtype=torch.float64)).requires_grad_()
    value, _ = step(made, fresh(made, 2, 2), logits, labels, index)
    value.backward()
    assert value.isfinite()
    assert torch.equal(logits.grad, torch.zeros(2, 2, dtype=torch.float64))
