"""Auxiliary logits of a training pass: learned at a weight, frozen, or refused."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close
from torchvision import models
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large, fcn_resnet50

import selfdistill as sd
from selfdistill.errors import UserError
from tests.helpers.kinds import CLASSES, AuxiliaryLogits, pixel_labels

IMAGES, LABELS = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(8) % CLASSES


def auxiliary(seed=0):
    torch.manual_seed(seed)
    return AuxiliaryLogits()


def gradients(model):
    return {name: each.grad for name, each in model.named_parameters()}


def assert_taught_as(model, images, labels, plain_loss, **options):
    """A step by `teach` gives the losses' gradients of a loop written by hand."""
    other = copy.deepcopy(model)
    teach = sd.teach(model, "ce()", images, aux=0.4, **options)
    torch.manual_seed(1)  # of the dropout
    loss = teach(images, labels)
    loss.backward()
    torch.manual_seed(1)
    wanted = plain_loss(other.train()(images))
    wanted.backward()
    assert_close(loss, wanted, rtol=1e-6, atol=1e-6)
    assert_close(gradients(model), gradients(other), rtol=1e-5, atol=1e-6)
    assert all(each is not None for each in gradients(model).values())


def test_googlenet_learns_both_auxiliary_heads():
    torch.manual_seed(0)
    model = models.googlenet(weights=None, num_classes=CLASSES, aux_logits=True, init_weights=False)
    images, labels = torch.randn(4, 3, 64, 64), LABELS[:4]

    def loss(output):
        first, second = F.cross_entropy(output.aux_logits1, labels), F.cross_entropy(output.aux_logits2, labels)
        return F.cross_entropy(output.logits, labels) + 0.4 * first + 0.4 * second

    assert_taught_as(model, images, labels, loss)


@pytest.mark.slow
def test_inception_learns_its_auxiliary_head():
    torch.manual_seed(0)
    model = models.inception_v3(weights=None, num_classes=CLASSES, aux_logits=True, init_weights=False)
    images, labels = torch.randn(2, 3, 299, 299), LABELS[:2]
    assert_taught_as(
        model, images, labels, lambda out: F.cross_entropy(out[0], labels) + 0.4 * F.cross_entropy(out[1], labels)
    )


@pytest.mark.parametrize("make", [deeplabv3_mobilenet_v3_large, pytest.param(fcn_resnet50, marks=pytest.mark.slow)])
def test_maps_of_auxiliary_logits_are_learned_at_the_labels(make):
    torch.manual_seed(0)
    model = make(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True)
    images, labels = torch.randn(2, 3, 32, 48), pixel_labels(2, 32, 48)

    def loss(output):
        main, aux = (F.cross_entropy(output[name], labels, ignore_index=255) for name in ("out", "aux"))
        return main + 0.4 * aux

    assert_taught_as(model, images, labels, loss, ignore_index=255)


class SmallMaps(nn.Module):
    """Auxiliary logits at half of the logits' size, in a list, as in deep supervision."""

    def __init__(self):
        super().__init__()
        self.body, self.out, self.aux = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, CLASSES, 1),
            nn.Conv2d(8, CLASSES, 1),
        )

    def forward(self, images):
        maps = self.body(images).relu()
        return self.out(maps), [self.aux(F.avg_pool2d(maps, 2))]


def test_small_maps_of_auxiliary_logits_are_resized():
    torch.manual_seed(0)
    images, labels = torch.randn(4, 3, 16, 24), pixel_labels()

    def loss(output):
        aux = F.interpolate(output[1][0], size=(16, 24), mode="bilinear", align_corners=False)
        return F.cross_entropy(output[0], labels, ignore_index=255) + 0.4 * F.cross_entropy(
            aux, labels, ignore_index=255
        )

    assert_taught_as(SmallMaps(), images, labels, loss, ignore_index=255)


def test_tags_of_auxiliary_logits():
    tags = (torch.rand(8, CLASSES, generator=torch.Generator().manual_seed(1)) < 0.4).float()
    each = F.binary_cross_entropy_with_logits
    assert_taught_as(
        auxiliary(), IMAGES, tags, lambda output: each(output[0], tags) + 0.4 * each(output[1], tags), rows="tags"
    )


def test_the_loss_is_that_of_the_task():
    def task(logits, labels):
        return logits.square().mean() + labels.float().mean()

    assert_taught_as(
        auxiliary(), IMAGES, LABELS, lambda output: task(output[0], LABELS) + 0.4 * task(output[1], LABELS), task=task
    )
    teach = sd.teach(auxiliary(), "label_smoothing(smoothing=0.4)", IMAGES, aux=1.0)
    teach(IMAGES, LABELS)
    logits = teach.student(IMAGES)[1]
    assert_close(teach.losses["task.aux"], F.cross_entropy(logits, LABELS, label_smoothing=0.5), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", ["cs_kd()", "drg() + mixup()", "sla()", "dml()", "ema()"])
def test_only_the_anchor_is_learned(text):
    teach = sd.teach(auxiliary(), text, IMAGES, aux=0.4, epochs=4, steps_per_epoch=2)
    optimizer = torch.optim.SGD([each for each in teach.parameters() if each.requires_grad], lr=0.1)
    extra = {"peer": IMAGES.flip(0)} if "cs_kd" in text else {}
    loss = teach(IMAGES, LABELS, **extra)
    loss.backward()
    optimizer.step()
    assert all(each.grad is not None for each in teach.parameters() if each.requires_grad)  # else DDP would wait
    if not (teach.mixing or any(view.joint for view in teach.step.views)):  # a joint pass shares the batch statistics
        assert_close(teach.losses["task.aux"], F.cross_entropy(auxiliary()(IMAGES)[1], LABELS), rtol=1e-4, atol=1e-5)


def test_a_control_learns_auxiliary_logits():
    teach = sd.teach(auxiliary(), "control(drg())", IMAGES, aux=0.4)
    teach(IMAGES, LABELS).backward()
    assert teach.student.aux.weight.grad.abs().sum() > 0


def test_weight_zero_freezes_the_heads_until_close():
    model = auxiliary()
    before = model.aux.weight.clone()
    teach = sd.teach(model, "ce()", IMAGES, aux=0)
    assert not any(each.requires_grad for each in model.aux.parameters())
    optimizer = torch.optim.SGD(teach.parameters(), lr=0.1, weight_decay=0.1)
    teach(IMAGES, LABELS).backward()
    optimizer.step()
    assert list(teach.losses) == ["task"]
    assert teach.close() is model
    assert torch.equal(model.aux.weight, before)
    assert all(each.requires_grad for each in model.parameters())


def test_validation_reads_the_logits_alone():
    teach = sd.teach(auxiliary(), "ce()", IMAGES, aux=0.4)
    teach.student.eval()
    with torch.no_grad():
        assert_close(teach(IMAGES, LABELS), F.cross_entropy(teach.student(IMAGES), LABELS))
    assert list(teach.losses) == ["task"]


def test_one_graph():
    torch.compiler.reset()
    teach = sd.teach(auxiliary(), "drg() + dsr()", IMAGES, aux=0.4)
    compiled = torch.compile(teach, backend="eager", fullgraph=True)
    loss = compiled(IMAGES, LABELS)
    other = sd.teach(auxiliary(), "drg() + dsr()", IMAGES, aux=0.4)
    assert_close(loss, other(IMAGES, LABELS))


class TwoHeads(nn.Module):
    """Logits that are the mean of two heads, both of which it returns: neither is auxiliary."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(768, 8))
        self.first, self.second = nn.Linear(8, CLASSES), nn.Linear(8, CLASSES)

    def forward(self, images):
        first, second = self.first(self.body(images)), self.second(self.body(images))
        return {"logits": (first + second) / 2, "first": first, "second": second}


def test_logits_that_are_trained_anyway_are_not_auxiliary():
    model = TwoHeads()
    assert sd.teach(model, "ce()", IMAGES)(IMAGES, LABELS).isfinite()
    with pytest.raises(UserError, match=r"aux=0.4 weights .*, but TwoHeads returns none .*; leave aux= out"):
        sd.teach(model, "ce()", IMAGES, aux=0.4)


def test_a_model_without_a_weight_is_refused():
    with pytest.raises(
        UserError,
        match=r"AuxiliaryLogits returns auxiliary logits in training \('1'\), and 2 parameters of 'aux' would get no "
        r"gradient; pass aux=0.4 to learn .*, aux=0 to leave them untrained, or a model without them",
    ):
        sd.teach(auxiliary(), "ce()", IMAGES)
    model = models.googlenet(weights=None, num_classes=CLASSES, aux_logits=True, init_weights=False)
    with pytest.raises(
        UserError, match=r"\('aux_logits2', 'aux_logits1'\), and 14 parameters of 'aux2' and 'aux1' would"
    ):
        sd.teach(model, "ce()", torch.randn(2, 3, 64, 64))


@pytest.mark.parametrize("aux", [-0.4, float("nan"), float("inf")])
def test_a_weight_is_zero_or_more(aux):
    with pytest.raises(UserError, match="aux is the weight of auxiliary logits, 0 or more, but is"):
        sd.teach(auxiliary(), "ce()", IMAGES, aux=aux)


def test_frozen_auxiliary_heads_need_no_weight():
    model = auxiliary()
    model.aux.requires_grad_(False)
    assert sd.teach(model, "ce()", IMAGES)(IMAGES, LABELS).isfinite()
