"""Logits of positions: of dense models whole maps, of classifiers the classifier at each position."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.terms.class_maps import TEACHER, ClassMaps
from tests.helpers.kinds import CLASSES, UNet, convolutions, pixel_labels


class Maps(ClassMaps):
    """Keeps what it is given."""

    views = (TEACHER,)

    def loss(self, context):
        self.own, self.theirs = self.own_maps(context), self.teacher_maps(context)
        self.seen = self.known(context, self.own.shape[2:])
        return self.own.sum() * 0


def method():
    return sd.Method({"maps": Maps()}, networks={"teacher": sd.methods.kd().networks["teacher"]})


def shown(student, teacher, images, labels, **options):
    """The term after a step, and the step."""
    teach = sd.teach(student, method(), images, networks={"teacher": teacher}, **options)
    teach(images, labels).backward()
    return teach.step.terms["maps"], teach


def test_a_dense_model_gives_its_maps_and_labels():
    images, labels = torch.randn(4, 3, 16, 24), pixel_labels()
    student, teacher = UNet(), UNet()
    term, _ = shown(student, teacher, images, labels, ignore_index=255)
    assert term.own.shape == (4, CLASSES, 16, 24)
    assert_close(term.theirs, teacher(images).detach())
    assert torch.equal(term.seen, (labels != 255).flatten(1))


def test_a_classifier_is_read_at_the_positions_of_both_networks():
    images, labels = torch.randn(4, 3, 16, 16), torch.arange(4)
    student, teacher = convolutions(3), convolutions(3)
    term, teach = shown(student, teacher, images, labels)
    for maps, network in ((term.own, student), (term.theirs, teacher)):
        assert maps.shape == (4, CLASSES, 4, 4)
        head = network[-1]
        features = network[:3](images)  # batch statistics, or running ones, as in the step
        assert_close(maps, F.conv2d(features, head.weight[..., None, None], head.bias), rtol=1e-4, atol=1e-5)
    assert term.seen.all()
    assert not term.theirs.requires_grad
    teach.close()


def test_a_teacher_that_reads_more_than_positions_is_refused():
    class Flattened(nn.Sequential):
        """A network whose classifier reads all positions at once."""

    body = [nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()]
    teacher, images = Flattened(*body, nn.Linear(8 * 16, CLASSES)), torch.randn(4, 3, 16, 16)
    teach = sd.teach(convolutions(3), method(), images, networks={"teacher": teacher})
    with pytest.raises(UserError, match="classifier of Flattened to 8 channels, but it reads 128; take a network"):
        teach(images, torch.arange(4))


def test_models_without_a_linear_classifier_of_positions_are_refused():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.Linear(16, CLASSES), nn.Linear(16, CLASSES)

        def forward(self, features):
            return self.one(features) + self.other(features)

    model = convolutions(3)
    model[-1] = Head()
    with pytest.raises(UserError, match=r"pals\(\) applies the classifier at each .* is no single linear layer; use"):
        sd.teach(model, "pals()", torch.randn(4, 3, 16, 16))
