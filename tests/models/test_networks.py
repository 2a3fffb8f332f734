import sys
from subprocess import run

import pytest
import torch

from selfdistill import models
from selfdistill.errors import UserError

# Parameters for 100 classes, in millions, as the distillation literature has them.
PUBLISHED = {
    "resnet20": 0.278,
    "resnet56": 0.86,
    "resnet110": 1.74,
    "resnet8x4": 1.23,
    "resnet32x4": 7.43,
    "resnet18": 11.22,
    "resnet50": 23.7,
    "wrn-16-2": 0.70,
    "wrn-40-1": 0.57,
    "wrn-40-2": 2.26,
    "wrn-28-10": 36.5,
    "vgg8": 3.96,
    "vgg13": 9.46,
    "mobilenetv2": 0.81,
    "shufflenetv2": 1.36,
}
SMALLEST = {"mobilenetv2": 16, "resnet18": 8, "preact_resnet18": 8, "vgg13": 8, "shufflenetv2": 8}
FAMILIES = ["resnet8", "resnet8x4", "resnet18", "resnet50", "preact_resnet18", "wrn-16-1", "vgg8", "vgg13"]
FAMILIES += ["mobilenetv2", "shufflenetv2"]


@pytest.mark.parametrize(("name", "millions"), PUBLISHED.items())
def test_parameters_as_published(name, millions):
    with torch.device("meta"):
        network = models.create(name, 100)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == pytest.approx(millions * 1e6, rel=0.01)


@pytest.mark.parametrize("name", models.names())
def test_every_network_answers_at_every_size(name):
    with torch.device("meta"):
        for size in (16, 32, 64):
            images = torch.empty(2, 3, size, size)
            assert models.create(name, 7, size=size)(images).shape == (2, 7)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_learns(name):
    torch.manual_seed(0)
    network = models.create(name, 5)
    network(torch.randn(4, 3, 32, 32)).logsumexp(dim=1).sum().backward()
    still = [key for key, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert not still


@pytest.mark.parametrize("name", FAMILIES)
def test_signal_neither_fades_nor_bursts(name):
    torch.manual_seed(0)
    logits = models.create(name, 100)(torch.randn(8, 3, 32, 32))
    assert 0.05 < logits.std() < 5


@pytest.mark.parametrize(("name", "side"), [("resnet20", 2), ("wrn-16-2", 2), ("resnet18", 1), ("vgg8", 1)])
def test_digits_of_8_pixels(name, side):
    network = models.create(name, 10, size=8)
    *_, last = [child for key, child in network.named_children() if key.startswith("layer")]
    shapes = []
    last.register_forward_hook(lambda module, args, output: shapes.append(output.shape[2:]))
    assert network(torch.randn(3, 3, 8, 8)).shape == (3, 10)
    assert shapes == [(side, side)]


@pytest.mark.parametrize(("name", "size"), SMALLEST.items())
def test_too_small(name, size):
    assert models.create(name, 10, size=size)(torch.randn(2, 3, size, size)).shape == (2, 10)
    with pytest.raises(UserError) as caught:
        models.create(name, 10, size=size - 1)
    assert str(caught.value) == (
        f"images of {size - 1}x{size - 1} pixels are too small for {name}; the smallest are {size}x{size}"
    )


def test_nothing_is_changed_in_place():
    network = models.create("shufflenetv2", 10)
    kept = []
    for module in network.modules():
        module.register_forward_hook(
            lambda module, args, output: kept.append((output, output._version, type(module).__name__))
        )
    network(torch.randn(2, 3, 32, 32))
    assert len(kept) > 100
    assert not [name for output, version, name in kept if output._version != version]


def test_shuffle_alternates_the_two_ways():
    from selfdistill.models.shufflenetv2 import ShuffleBlock

    block = ShuffleBlock(8, 8, 1).eval()
    images = torch.randn(1, 8, 4, 4)
    left, right = images.chunk(2, dim=1)
    assert torch.equal(block(images)[:, ::2], left)
    assert torch.equal(block(images)[:, 1::2], block.branch(right))


def test_same_seed_same_weights():
    def drawn(seed):
        torch.manual_seed(seed)
        return models.create("resnet8", 10).state_dict()

    first, again, other = drawn(3), drawn(3), drawn(4)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_own_networks_import_no_library():
    code = "import sys; from selfdistill import models; models.create('resnet8', 10); "
    code += "assert not {'timm', 'torchvision'} & set(sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["resnet21", "wrn-41-2", "wrn-4-2", "wrn-16-0"])
def test_unknown_name(name):
    with pytest.raises(UserError, match=rf"there is no model '{name}' \(nearest: .*(resnet20|wrn-16-2)"):
        models.create(name, 10)


def test_unlike_any_name():
    with pytest.raises(UserError) as caught:
        models.create("zzz", 10)
    assert str(caught.value).startswith("there is no model 'zzz'; there are resnet8, ")
    assert str(caught.value).endswith("wrn-DEPTH-WIDTH of depth 6n + 4, timm/NAME and torchvision/NAME")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"classes": 1}, "a classifier needs 2 classes or more, not 1"),
        ({"size": 0}, "images need a side of 1 pixel or more, not 0"),
        ({"pretrained": True, "weights": "a.pt"}, "resnet8: pass pretrained or weights, not both"),
        (
            {"pretrained": True},
            "there are no pretrained weights of resnet8; pass weights=FILE, or a timm/NAME",
        ),
    ],
)
def test_senseless_arguments(arguments, answer):
    with pytest.raises(UserError) as caught:
        models.create("resnet8", **{"classes": 10, **arguments})
    assert str(caught.value) == answer
