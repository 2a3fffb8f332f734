"""What terms remember from call to call."""

import pytest
import torch
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from tests.helpers.loops import ALL, IMAGES, LABELS, ROWS, batch, memories, sgd
from tests.helpers.networks import network


def test_bf16_autocast_keeps_terms_and_memory_in_float32():
    teach = sd.teach(network(), ALL, IMAGES)
    optimizer = sgd(teach)
    for seed in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            loss = teach(*batch(seed))
        assert loss.dtype == torch.float32
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert {leaf.dtype for leaf in memories(teach)} == {torch.float32}
    assert teach(*batch(4)).isfinite()  # and autocast may end


def test_accumulation_keeps_a_memory_for_each_slot():
    """Two halves a step are the whole batch: without batch norm, and where memory is a rank's."""
    big = sd.teach(network("group"), "dsr()", IMAGES)
    small = sd.teach(network("group"), "dsr()", IMAGES[:4], accumulate=2)
    optimizers = sgd(big), sgd(small)
    for seed in range(3):
        images, labels = batch(seed)
        for each in optimizers:
            each.zero_grad()
        whole = big(images, labels)
        whole.backward()
        parts = [small(images[half], labels[half]) / 2 for half in (slice(0, 4), slice(4, 8))]
        for part in parts:
            part.backward()
        assert_close(whole, sum(parts), rtol=1e-4, atol=1e-5)
        for each in optimizers:
            each.step()


def test_accumulation_shares_the_memory_of_the_run():
    teach = sd.teach(network(), "csd()", IMAGES, accumulate=2)
    teach(*batch(0))
    first, second = teach.memories
    assert torch.equal(first["center"][1], second["center"][1])
    assert first["center"][1].sum() == ROWS


def test_a_call_may_leave_memory_alone():
    teach = sd.teach(network(), "csd()", IMAGES)
    teach(IMAGES, LABELS)
    before = [leaf.clone() for leaf in memories(teach)]
    teach(*batch(1), remember=False)
    assert all(torch.equal(one, other) for one, other in zip(before, memories(teach), strict=True))


def test_an_infinite_batch_is_not_remembered():
    teach = sd.teach(network("group"), "csd() + dsr()", IMAGES)
    teach(IMAGES, LABELS)
    bad = IMAGES.clone()
    bad[0] = torch.inf
    with pytest.raises(UserError, match=r"the loss 'task' of .* is nan: the student's logits are not finite"):
        teach(bad, LABELS)
    assert all(leaf.isfinite().all() for leaf in memories(teach))
    assert teach(*batch(2)).isfinite()
