import torch
from torch import nn

from selfdistill.distiller import Distiller
from selfdistill.measure.cost import added_parameters, parameters
from selfdistill.methods import drg, stkd
from selfdistill.models import create


def test_parameters_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(5, 2))
    assert parameters(net) == (3 * 4 * 9 + 4) + (4 + 4) + (5 * 2 + 2)


def test_a_head_is_added_and_a_teacher_is_not():
    images, student = torch.rand(2, 3, 32, 32), create("resnet8", 10)
    made = Distiller(student, drg() + stkd(), images, networks={"teacher": create("resnet20", 10)})
    heads = sum(each.numel() for name, each in made.named_parameters() if name.startswith("terms."))
    assert added_parameters(made) == heads > 0
    assert parameters(student) == parameters(create("resnet8", 10))
