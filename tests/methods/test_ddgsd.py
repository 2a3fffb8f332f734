import pytest
import torch
from torch.testing import assert_close

from selfdistill.methods import ddgsd
from selfdistill.terms import ModelOutputs
from tests.contract.steps import Training, distil
from tests.helpers.step_contexts import only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def shown(seed=0):
    """Logits and embeddings of two views, and labels."""
    draws = torch.Generator().manual_seed(seed)
    logits, twin = torch.randn(2, 6, 5, generator=draws, dtype=torch.float64).unbind()
    embedding, other = torch.randn(2, 6, 3, generator=draws, dtype=torch.float64).unbind()
    return logits, twin, embedding, other, torch.arange(6) % 5


def value(method, logits, twin, embedding, other, labels):
    step = step_context(logits, labels, embedding=embedding, views={"twin": ModelOutputs(twin, other, {})})
    return only(method, "twins").loss(step)


def test_with_the_librarys_weights_it_is_the_librarys_loss(reference):
    want = reference("ddgsd_selfkdlib")
    given = [want[key].requires_grad_() for key in ("logits_a", "logits_b", "embed_a", "embed_b")]
    made = ddgsd(labels=0.25, mmd_weight=want["weight_mmd"].item(), mmd="scalar", temperature=want["T"].item())
    task = made.weights["task"] * only(made, "task").loss(step_context(given[0], want["targets"]))
    parts = value(made, *given, want["targets"])
    loss = task + made.weights["twins"] * total(parts)
    loss.backward()
    assert_close((task + parts["learn"]).detach(), want["loss_cls"], **EXACT)
    assert_close(parts["mimic"].detach(), want["loss_div"], **EXACT)
    assert_close(loss.detach(), want["loss"], **EXACT)
    for each, name in zip(given, ("logits_a", "logits_b", "embed_a", "embed_b"), strict=True):
        assert_close(each.grad, want[f"grad_{name}"], **EXACT)


def test_both_views_learn_the_labels_in_full_as_the_paper_sums_them():
    made, given = ddgsd(), shown()
    assert made.weights == {"task": 1.0, "twins": 1.0}
    want = torch.nn.functional.cross_entropy(given[1], given[-1])
    assert_close(value(made, *given)["learn"], want)


def test_discrepancy_by_channel_is_the_plain_loop():
    logits, _, embedding, other, labels = shown()
    want = 0.0
    for channel in range(3):
        means = [sum(row[channel].item() for row in each) / 6 for each in (embedding, other)]
        want += (means[0] - means[1]) ** 2
    alone = value(ddgsd(mmd_weight=2.0), logits, logits, embedding, other, labels)["mimic"]
    assert_close(alone.item(), 2.0 * want, rtol=1e-9, atol=0)


def test_opposite_channels_are_apart_by_channel_and_not_as_a_scalar():
    logits, _, _, _, labels = shown()
    one = torch.tensor([[1.0, -1.0]], dtype=torch.float64).expand(6, 2)
    apart = {mmd: value(ddgsd(mmd=mmd), logits, logits, one, -one, labels)["mimic"] for mmd in ("channels", "scalar")}
    assert_close(apart["channels"].item(), 5e-4 * 8)
    assert apart["scalar"].item() == pytest.approx(0.0, abs=1e-12)


def test_views_can_be_swapped():
    logits, twin, embedding, other, labels = shown()
    one = value(ddgsd(), logits, twin, embedding, other, labels)["mimic"]
    assert_close(value(ddgsd(), twin, logits, other, embedding, labels)["mimic"], one)


def test_both_views_are_one_batch():
    training, rows = Training(distil("ddgsd()")), []
    handle = training.distiller.student.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    training.steps(1)
    handle.remove()
    assert rows == [16]
