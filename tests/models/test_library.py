import pytest
import timm
import torch
import torchvision
from torchvision.models import ResNet18_Weights, ViT_B_16_Weights

from selfdistill import models
from selfdistill.errors import UserError

SAMPLES = ["timm/resnet18d", "timm/vit_tiny_patch16_224", "timm/convnext_atto", "timm/mixer_s16_224"]
SAMPLES += ["timm/resnet18.a1_in1k", "timm/swin_tiny_patch4_window7_224"]
SAMPLES += [
    "torchvision/resnet18",
    "torchvision/swin_t",
    "torchvision/googlenet",
    "torchvision/squeezenet1_1",
]


@pytest.mark.parametrize("name", SAMPLES)
def test_takes_small_images(name):
    network = models.create(name, 7, size=32)
    assert network.training
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "size", "answer"),
    [
        (
            "timm/vit_tiny_patch16_224",
            30,
            "(its 16x16 patches need a multiple of 16); sizes that work: 32, 48, 64",
        ),
        ("timm/convnext_atto", 8, "; sizes that work: 32, 48, 64"),
        ("torchvision/alexnet", 32, "; sizes that work: 64, 96, 128"),
    ],
)
def test_size_that_does_not_fit(name, size, answer):
    with pytest.raises(UserError) as caught:
        models.create(name, 10, size=size)
    assert str(caught.value).startswith(f"{name} cannot take images of {size}x{size} pixels (")
    assert str(caught.value).endswith(answer)


@pytest.mark.parametrize("name", ["timm/resnett18", "torchvision/resnet19"])
def test_nearest_names(name):
    family, _, rest = name.partition("/")
    with pytest.raises(UserError, match=rf"{family} has no classifier '{rest}'; nearest: .*{family}/resnet18"):
        models.create(name, 10)


def test_segmentation_is_no_classifier():
    with pytest.raises(UserError, match="torchvision has no classifier 'fcn_resnet50'"):
        models.create("torchvision/fcn_resnet50", 10)


@pytest.mark.parametrize("name", ["timm/resnet18", "torchvision/resnet18"])
def test_same_seed_same_weights(name):
    def drawn():
        torch.manual_seed(3)
        return models.create(name, 10).state_dict()

    first, again = drawn(), drawn()
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_pretrained_trunk_and_new_head(monkeypatch):
    published = torchvision.models.resnet18(num_classes=1000).state_dict()
    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", lambda *args, **kwargs: published)
    network = models.create("torchvision/resnet18", 10, pretrained=True)
    assert torch.equal(network.get_parameter("layer3.0.conv1.weight"), published["layer3.0.conv1.weight"])
    assert network.get_parameter("fc.weight").shape == (10, 512)


def test_pretrained_positions_fit_the_size(monkeypatch):
    published = torchvision.models.vit_b_16(num_classes=1000).state_dict()
    monkeypatch.setattr(ViT_B_16_Weights, "get_state_dict", lambda *args, **kwargs: published)
    network = models.create("torchvision/vit_b_16", 10, pretrained=True)
    assert network.get_parameter("encoder.pos_embedding").shape == (1, 1 + 4, 768)
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_download_fails(monkeypatch):
    create = timm.create_model

    def offline(name, pretrained=False, **settings):
        if pretrained:
            raise OSError("no route to host")
        return create(name, pretrained, **settings)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UserError) as caught:
        models.create("timm/resnet18", 10, pretrained=True)
    assert str(caught.value) == (
        "cannot load pretrained weights of timm/resnet18 (no route to host); check the connection, or pass weights=FILE"
    )


def test_never_published():
    with pytest.raises(UserError, match=r"of timm/botnet50ts_256 \(No pretrained weights exist"):
        models.create("timm/botnet50ts_256", 10, size=64, pretrained=True)
