import torch
from torch import nn

from selfdistill.methods import drg, stkd
from selfdistill.metrics.cost import added_parameters, flops, held_bytes, parameters, peak_bytes
from selfdistill.models import create
from selfdistill.step import Distiller


def test_parameters_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(5, 2))
    assert parameters(net) == (3 * 4 * 9 + 4) + (4 + 4) + (5 * 2 + 2)


def test_a_head_is_added_and_a_teacher_is_not():
    images, student = torch.rand(2, 3, 32, 32), create("resnet8", 10)
    made = Distiller(student, drg() + stkd(), images, networks={"teacher": create("resnet20", 10)})
    heads = sum(each.numel() for name, each in made.named_parameters() if name.startswith("terms."))
    assert added_parameters(made) == heads > 0
    assert parameters(student) == parameters(create("resnet8", 10))


def test_flops_of_a_layer_forward_and_backward():
    layer, images = torch.nn.Linear(7, 5), torch.randn(3, 7)
    assert flops(lambda: layer(images)) == 2 * 3 * 7 * 5
    assert flops(lambda: layer(images).sum().backward()) == 2 * 2 * 3 * 7 * 5  # the images ask for no gradient


def test_the_peak_is_where_most_tensors_live_at_once():
    four_kilobytes = torch.zeros(1000)

    def one_after_the_other():
        following = four_kilobytes
        for _ in range(5):
            following = following + 1  # the one before goes once this one is there

    def all_at_once():
        return [four_kilobytes + k for k in range(5)]

    assert peak_bytes(one_after_the_other) == 8000
    assert peak_bytes(all_at_once) == 20000
    assert peak_bytes(lambda: four_kilobytes.view(10, 100).t().add_(1)) == 0  # no memory of its own


def test_what_is_kept_for_backward_counts():
    values = torch.zeros(1000, requires_grad=True)

    def deep(kept):
        out = values
        for _ in range(6):
            out = out.exp()
        if kept:
            out.sum().backward()

    with torch.no_grad():
        assert peak_bytes(lambda: deep(False)) == 8000
    assert peak_bytes(lambda: deep(True)) >= 6 * 4000


def test_shared_memory_is_held_once():
    whole = torch.zeros(100)
    assert held_bytes([whole, whole[:10], whole.view(10, 10), torch.zeros(5)]) == 420
