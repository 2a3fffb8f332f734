import pytest
import torch
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.models import create, with_cheap_convolutions
from selfdistill.models.cheap_convolutions import Form, cheap_block

EXACT = {"rtol": 1e-6, "atol": 1e-9}
NAMES = {
    "0.weight": "conv1x1_down_weight",
    "1.weight": "bn1_weight",
    "1.bias": "bn1_bias",
    "3.weight": "conv_weight",
    "4.weight": "bn2_weight",
    "4.bias": "bn2_bias",
    "6.weight": "conv1x1_up_weight",
}


def count(module):
    return sum(each.numel() for each in module.parameters())


def convolution(width=16, **options):
    return nn.Conv2d(8, width, 3, padding=1, bias=False, **options)


def test_the_block_is_the_published_one(reference):
    want = reference("moonshine_block")
    form = Form(int(want["group_width"]), int(want["bottleneck"]))
    block = cheap_block(convolution(dtype=torch.float64), form, "conv")
    assert count(block) == int(want["parameters"])
    block.load_state_dict({name: want[stored] for name, stored in NAMES.items()}, strict=False)
    x = want["x"].requires_grad_()
    out = block(x)
    loss = (want["cotangent"] * out).sum()
    loss.backward()
    assert_close(out.detach(), want["out"], **EXACT)
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(x.grad, want["grad_x"], **EXACT)
    for name, stored in NAMES.items():
        assert_close(block.get_parameter(name).grad, want[f"grad_{stored}"], **EXACT)


@pytest.mark.parametrize("name", ["resnet20", "wrn-16-1", "resnet50"])
def test_shapes_stay_and_parameters_fall(name):
    network = create(name, classes=5)
    cheap = with_cheap_convolutions(network)
    images = torch.randn(2, 3, 16, 16)
    assert cheap(images).shape == network(images).shape
    assert count(cheap) < count(network)


def test_the_first_and_the_pointwise_convolutions_stay():
    network = create("resnet8", classes=5)
    before = {name: each.clone() for name, each in network.state_dict().items()}
    cheap = with_cheap_convolutions(network, "b2")
    convolutions = [each for each in cheap.modules() if isinstance(each, nn.Conv2d)]
    assert torch.equal(convolutions[0].weight, next(network.parameters()))
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())
    blocks = sum(each.kernel_size == (3, 3) for each in network.modules() if isinstance(each, nn.Conv2d)) - 1
    assert len(convolutions) == len([each for each in network.modules() if isinstance(each, nn.Conv2d)]) + 2 * blocks


def test_a_shared_convolution_stays_shared():
    shared = convolution(8)
    cheap = with_cheap_convolutions(nn.Sequential(convolution(8), shared, shared), "g4b2")
    assert cheap[1] is cheap[2]
    assert isinstance(cheap[1], nn.Sequential)


@pytest.mark.parametrize(
    ("stride", "dilation", "bias"),
    [(1, 1, True), (2, 1, False), (1, 2, True)],
)
def test_stride_dilation_and_bias_are_kept(stride, dilation, bias):
    old = nn.Conv2d(8, 16, 3, stride, dilation, dilation, bias=bias)
    block, maps = cheap_block(old, Form(None, 2), "conv"), torch.randn(2, 8, 9, 9)
    assert block(maps).shape == old(maps).shape
    assert (block[-1].bias is not None) == bias


@pytest.mark.parametrize("form", ["g8", "b0", "8b2", "", "g8b2x"])
def test_another_form_is_refused(form):
    with pytest.raises(UserError, match=f"have a form such as 'g8b2' or 'b2', not {form!r}"):
        with_cheap_convolutions(create("resnet8", classes=5), form)


def test_channels_that_a_form_does_not_divide_are_refused():
    with pytest.raises(
        UserError, match=r"has 16 channels, which 'g16b2' does not divide; take divisors such as 'g1b1'"
    ):
        with_cheap_convolutions(create("resnet8", classes=5), "g16b2")
    with pytest.raises(UserError, match="the convolution 'conv' has 16 channels, which 'b32' does not divide"):
        cheap_block(convolution(), Form(None, 32), "conv")


@pytest.mark.parametrize("network", [nn.Linear(3, 2), nn.Sequential(convolution(), nn.Conv2d(16, 4, 1))])
def test_a_network_without_such_convolutions_is_refused(network):
    with pytest.raises(UserError, match="has no 3x3 convolution behind its first; use another network"):
        with_cheap_convolutions(network)


def test_it_learns_from_the_network_it_came_from():
    images, labels = torch.randn(4, 3, 16, 16), torch.arange(4)
    teacher = create("resnet8", classes=5)
    teach = sd.teach(with_cheap_convolutions(teacher), "at()", images, networks={"teacher": teacher})
    teach(images, labels).backward()
    assert all(each.grad is not None for each in teach.student.parameters())
    teach.close()
