"""The plain-loop face at work."""

import copy

import timm
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import selfdistill as sd
from tests.helpers.loops import ALL, IMAGES, LABELS, ROWS, batch, sgd, steps
from tests.helpers.networks import CLASSES, network


def test_four_lines_teach_a_timm_model():
    torch.manual_seed(0)
    model = timm.create_model("resnet18d", num_classes=CLASSES)
    images, labels = batch(0, size=64)
    teach = sd.teach(model, ALL, images)
    optimizer = torch.optim.SGD(teach.parameters(), lr=0.02)
    losses = []
    for _ in range(4):
        loss = teach(images, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(teach.losses["task"])
    assert losses[-1] < losses[0]
    assert teach.logits.shape == (ROWS, CLASSES)
    assert teach.close() is model
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_total_is_the_weighted_sum_of_the_parts():
    teach = sd.teach(network(), "scd(weight=7.0) + drg()", IMAGES)
    loss = teach(IMAGES, LABELS)
    parts = teach.losses
    assert_close(
        loss.detach(), parts["task"] + 7.0 * parts["similarity"] + parts["guidance.learn"] + parts["guidance.mimic"]
    )


def test_without_terms_it_is_cross_entropy():
    model = network()
    teach = sd.teach(model, "ce()", IMAGES)
    assert_close(teach(IMAGES, LABELS), F.cross_entropy(copy.deepcopy(model)(IMAGES), LABELS))


def test_dsr_starts_again_at_each_epoch():
    teach = sd.teach(network(), "dsr()", IMAGES, epochs=3, steps_per_epoch=2)
    shapes = []
    for seed in range(4):
        teach(*batch(seed))
        shapes.append(teach.losses["shape"].item())
    assert [value == 0 for value in shapes] == [True, False, True, False]
    running = sd.teach(network(), "dsr()", IMAGES)
    assert [running(*batch(seed)) is not None and running.losses["shape"].item() == 0 for seed in range(3)] == [
        True,
        False,
        False,
    ]


def test_first_batch_may_differ_in_size_from_the_example():
    teach = sd.teach(network(), ALL, IMAGES[:2])
    assert all(loss.isfinite() for loss in steps(teach, sgd(teach), 3))


def test_two_teaches_on_one_model():
    model = network()
    one, other = sd.teach(model, "drg()", IMAGES), sd.teach(model, "drg(tap='stage1')", IMAGES)
    assert one(IMAGES, LABELS).isfinite()
    assert other(IMAGES, LABELS).isfinite()
    other.close()
    assert one(IMAGES, LABELS).isfinite()


def test_frozen_backbone_and_other_dtypes():
    model = network()
    for name, each in model.named_parameters():
        each.requires_grad_(name.startswith("fc"))
    sd.teach(model, "lightskd() + csd()", IMAGES)(IMAGES, LABELS).backward()
    assert model.stem.weight.grad is None
    double = sd.teach(network().double(), ALL, IMAGES)
    assert double(IMAGES.double(), LABELS).dtype == torch.float64
