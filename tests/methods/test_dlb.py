import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.functional import kl_divergence
from selfdistill.methods import dlb
from selfdistill.terms import TrainingInfo
from tests.contract.steps import Training, batch, distil
from tests.helpers.step_contexts import only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def fresh(term, rows, classes):
    return term.start(TrainingInfo(classes, None, rows, torch.zeros((), dtype=torch.float64)))


def step(logits, labels, last, last_labels, memory):
    return step_context(logits, labels, views={"last": last}, extra={"last_labels": last_labels}, memory=memory)


def test_three_steps_are_the_published_script(reference):
    """Of 10, 10 and 7 rows; the first batch has none before it and is shown itself."""
    want = reference("dlb")
    term = only(dlb(alpha=want["alpha"].item(), temperature=want["T"].item()), "task")
    memory = fresh(term, 10, 12)
    for k in range(3):
        logits, labels = want[f"logits_cur_{k}"].requires_grad_(), want[f"targets_{k}"]
        last = want[f"logits_prev_view1_{max(k - 1, 0)}"].clone().requires_grad_()
        value, memory = term(step(logits, labels, last, want[f"targets_{max(k - 1, 0)}"], memory))
        total(value).backward()
        assert_close(total(value).detach(), want["loss"][k], **EXACT)
        assert_close(logits.grad, want[f"grad_cur_{k}"], **EXACT)
        grad = want[f"grad_prev_view1_{k - 1}"] if k else torch.zeros_like(last)
        assert_close(last.grad, grad, **EXACT)
        assert_close(memory[0][: len(logits)], logits.detach())
        assert_close(memory[1].item(), float(len(logits)))


def test_a_short_batch_is_remembered_as_short():
    """After 4 of 6 rows come 6, and the 4 that are shown again meet the 4 that were remembered."""
    torch.manual_seed(0)
    term, labels = only(dlb(), "task"), torch.arange(6) % 5
    now, last = torch.randn(6, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    _, memory = term(step(now[:4], labels[:4], now, labels, fresh(term, 6, 5)))
    value = term.loss(step(now, labels, last, labels[:4], memory))
    p, q = (now[:4] / 3).softmax(1), (last / 3).softmax(1)
    assert_close(value["mimic"], 9 * (p * (p / q).log()).sum(1).mean())
    both = F.cross_entropy(torch.cat([now, last]), torch.cat([labels, labels[:4]]))
    assert_close(value["learn"], both)


def test_other_rows_than_were_remembered_teach_nothing():
    """A loader that has nothing of the last batch's size brings the batch itself."""
    torch.manual_seed(0)
    term, labels = only(dlb(), "task"), torch.arange(6) % 5
    now = torch.randn(6, 5, dtype=torch.float64)
    _, memory = term(step(now, labels, now, labels, fresh(term, 6, 5)))
    value = term.loss(step(now[:4], labels[:4], -now[:4], labels[:4], memory))
    assert value["mimic"].item() == 0.0
    assert_close(value["learn"], F.cross_entropy(now[:4], labels[:4]))


def test_this_batch_gets_no_gradient_from_the_last_ones_targets():
    torch.manual_seed(0)
    term, labels = only(dlb(), "task"), torch.arange(6) % 5
    logits, last = torch.randn(2, 6, 5, dtype=torch.float64).requires_grad_().unbind()
    memory = (torch.randn(6, 5, dtype=torch.float64).requires_grad_(), torch.tensor(6.0).double())
    mimic = term.loss(step(logits, labels, last, labels, memory))["mimic"]
    now, shown, then = torch.autograd.grad(mimic, (logits, last, memory[0]), allow_unused=True)
    assert now is None
    assert then is None
    assert shown.abs().max() > 0


def test_what_is_remembered_are_the_logits_before_the_update():
    training = Training(distil("dlb()"))
    at = batch(0, training.distiller.method)
    logits = training.distiller(at, None, training.memories).logits
    training.steps(1)
    assert_close(training.memories["task"][0], logits)


def test_a_longer_batch_than_the_memory_is_remembered_in_part():
    term, labels, logits = only(dlb(), "task"), torch.arange(5), torch.randn(5, 5)
    _, (rows, count) = term(step(logits, labels, logits, labels, fresh(term, 4, 5)))
    assert torch.equal(rows, logits[:4])
    assert count == 4
    again, _ = term(step(logits, labels, 2 * logits, labels, (rows, count)))
    assert_close(again["mimic"], kl_divergence(2 * logits[:4], logits[:4], 3.0))
