"""Batch norms that get one value per channel, and running statistics that overflow."""

import pytest
import torch
from torch import nn

import selfdistill as sd
from selfdistill.errors import UserError
from tests.helpers.loops import IMAGES, LABELS, batch, sgd
from tests.helpers.networks import CLASSES, network


def small_maps():
    """A network that takes one image, with maps of 4x4 after its batch norms."""
    torch.manual_seed(0)
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES)
    first = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()
    return nn.Sequential(*first, *head)


def answer(teach, images):
    try:
        return "finite" if teach(images, torch.ones(len(images)).long()).isfinite() else "infinite"
    except UserError as error:
        return "refused" if "larger batches" in str(error) or "drop_last=True" in str(error) else str(error)


@pytest.mark.parametrize(
    "method", ["drg(tap='3')", "lightskd(tap='3')", "byot()", "one(tap='3')", "mixskd()", "frskd()"]
)
def test_one_row_is_a_loss_or_an_answer(method):
    images = torch.randn(4, 3, 8, 8)
    teach = sd.teach(small_maps(), method, images)
    assert answer(teach, images[:1]) in ("finite", "refused")


def test_a_head_that_gets_one_value_says_so():
    images = torch.randn(4, 3, 8, 8)
    teach = sd.teach(small_maps(), "drg(tap='3')", images)
    with pytest.raises(
        UserError, match=r"in the student or in a head of drg\(tap='3'\) gets one value per channel.* 1 row "
    ):
        teach(images[:1], torch.tensor([1]))


def test_a_student_that_gets_one_value_says_so():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Linear(8, CLASSES))
    teach = sd.teach(model, "ce()", torch.randn(4, 3, 2, 2))
    with pytest.raises(
        UserError, match=r"a batch norm in the student or in a head of ce\(\) gets one value per channel"
    ):
        teach(torch.randn(1, 3, 2, 2), torch.tensor([1]))


def test_other_errors_stay_themselves():
    teach = sd.teach(network(), "ce()", IMAGES)
    with pytest.raises(RuntimeError, match="channels"):
        teach(torch.randn(8, 4, 16, 16), LABELS)


def overflowed(method="ce()"):
    """A student whose loss is finite, after images whose variance is beyond float32."""
    teach = sd.teach(network(), method, IMAGES)
    assert teach(IMAGES * 1e20, LABELS).isfinite()
    return teach


def test_statistics_that_overflow_are_told_at_the_next_call():
    with pytest.raises(
        UserError, match=r"a running statistic of the student is NaN or infinite \(layer1.norm.running_var and"
    ):
        overflowed()(IMAGES, LABELS)


def test_statistics_that_overflow_are_told_before_validation_and_at_the_end():
    for end in (lambda teach: teach.eval()(IMAGES, LABELS), lambda teach: teach.close()):
        with pytest.raises(UserError, match="so the network gives NaN in eval mode; ce"):
            end(overflowed())


def test_statistics_of_heads_are_told():
    teach = sd.teach(network("group"), "drg()", IMAGES)
    teach(IMAGES, LABELS)
    next(each for each in teach.step.terms.modules() if isinstance(each, nn.BatchNorm2d)).running_var.fill_(torch.inf)
    with pytest.raises(
        UserError, match=r"a running statistic of the heads is NaN or infinite \(guidance.head.embed.2.running_var\)"
    ):
        teach(IMAGES, LABELS)


def test_sound_statistics_are_no_error():
    teach = sd.teach(network(), "drg()", IMAGES)
    optimizer = sgd(teach)
    for seed in range(3):
        optimizer.zero_grad()
        teach(*batch(seed)).backward()
        optimizer.step()
    model = teach.close()
    assert all(each.isfinite().all() for each in model.buffers() if each.is_floating_point())
