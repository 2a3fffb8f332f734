import sys

import pytest
import torch
import torchvision

import selfdistill as sd
from selfdistill import models
from selfdistill.errors import UserError
from selfdistill.export import LogitsOnly
from selfdistill.features.logits import logits_of
from selfdistill.models.decoder import PixelClassifier, PyramidDecoder, decoder_levels
from selfdistill.models.timm_backbone import TimmBackbone
from selfdistill.models.unet import UNet

STRIDES = {  # of the logits
    "unet-16": 1,
    "unet-6": 1,
    "resnet8": 1,
    "wrn-16-1": 1,
    "preact_resnet18": 1,
    "vgg8": 2,
    "mobilenetv2": 2,
    "shufflenetv2": 2,
    "timm/resnet18": 4,
    "timm/efficientnet_b0": 4,
    "timm/convnext_atto": 4,
    "timm/swin_tiny_patch4_window7_224": 4,
    "torchvision/lraspp_mobilenet_v3_large": 1,
    "torchvision/deeplabv3_mobilenet_v3_large": 1,
    "torchvision/fcn_resnet50": 1,
    "transformers/segformer-b0": 4,
}
TOKENS = ["timm/vit_tiny_patch16_224", "timm/eva02_tiny_patch14_224"]  # stages of tokens have no map


def create(name, classes=5, size=64, **options):
    return models.create(name, classes, size=size, task="segment", **options)


def pixels(rows=2, size=64):
    return torch.randn(rows, 3, size, size), torch.randint(0, 5, (rows, size, size))


@pytest.mark.parametrize(("name", "stride"), STRIDES.items())
def test_logits_of_pixels(name, stride):
    network = create(name)
    assert network.training
    with torch.no_grad():
        logits = logits_of(network(torch.zeros(2, 3, 64, 64)))
        other = logits_of(network.eval()(torch.zeros(1, 3, 70, 91)))  # whole images of any size
    assert logits.shape == (2, 5, 64 // stride, 64 // stride)
    assert other.shape[:2] == (1, 5)


@pytest.mark.parametrize("name", sorted(STRIDES.keys() - {"torchvision/lraspp_mobilenet_v3_large"}))
def test_stages_and_classifier_are_found(name):
    network, (images, labels) = create(name), pixels()
    teach = sd.teach(network, "drg() + csd()", images)
    teach(images, labels).backward()
    assert all(each.grad is not None for each in network.parameters())
    assert teach.close() is network


@pytest.mark.parametrize(
    "name",
    [
        *("unet-16", "resnet8", "timm/resnet18"),
        *("torchvision/lraspp_mobilenet_v3_large", "transformers/segformer-b0"),
    ],
)
def test_it_compiles_in_one_graph(name):
    network, images = LogitsOnly(create(name)).eval(), pixels()[0]
    with torch.no_grad():
        compiled = torch.compile(network, fullgraph=True, backend="eager")(images)
        assert torch.equal(compiled, network(images))


def test_two_classifiers_need_a_name():
    network, (images, labels) = create("torchvision/lraspp_mobilenet_v3_large"), pixels()
    with pytest.raises(UserError, match="no single module computes this model's logits; pass classifier="):
        sd.teach(network, "csd()", images)
    sd.teach(network, "drg()", images)(images, labels).backward()


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_train_with_methods_of_logits(name):
    network, (images, labels) = create(name), pixels()
    sd.teach(network, "dsr() + csd()", images)(images, labels).backward()
    assert all(each.grad is not None for each in network.parameters())
    with pytest.raises(UserError, match="classifies the pixels of 'stage"):
        sd.teach(network, "drg()", images)


@pytest.mark.parametrize("name", [*models.names(task="segment"), "wrn-10-2", "unet-24"])
def test_every_network_answers(name):
    with torch.device("meta"):
        assert create(name)(torch.empty(2, 3, 64, 64)).shape[:2] == (2, 5)


def test_levels_are_the_last_of_four_resolutions():
    assert decoder_levels([2, 4, 8, 16, 16, 32]) == [1, 2, 4, 5]
    assert decoder_levels(["one"] * 3) == [2]


def test_the_decoder_adds_coarse_levels_to_finer_ones():
    decoder = PyramidDecoder([3, 5], 4).eval()
    fine, coarse = torch.randn(1, 3, 4, 6), torch.randn(1, 5, 1, 1)
    first, last = decoder.laterals
    assert torch.allclose(decoder([fine, coarse]), decoder.smooth(first(fine) + last(coarse)), atol=1e-6)


def test_maps_with_channels_last_are_turned():
    network = create("timm/swin_tiny_patch4_window7_224")
    assert network.backbone.channels_last
    assert [each.shape[1] for each in network.backbone(torch.zeros(1, 3, 64, 64))] == [96, 192, 384, 768]


def test_only_maps_that_are_read_are_made():
    strides = create("timm/resnet18").backbone.features.feature_info.reduction()
    assert strides == [4, 8, 16, 32]


def test_sides_between_strides_are_resized():
    backbone = TimmBackbone("resnet18", 64, pretrained=False).eval()
    with torch.no_grad():
        maps = backbone(torch.zeros(1, 3, 65, 40))
    assert [each.shape[2:] for each in maps] == [(24, 16), (12, 8), (6, 4), (3, 2)]


def test_images_of_one_size():
    network = create("timm/mixer_s16_224").eval()
    with pytest.raises(UserError) as caught:
        network(torch.zeros(1, 3, 64, 96))
    assert str(caught.value) == (
        "timm/mixer_s16_224 takes images of 64x64 pixels alone, but got 64x96; use a convolutional network, or images "
        "of one size"
    )


def test_a_unet_keeps_odd_sides():
    assert UNet(4, 3)(torch.zeros(2, 3, 33, 21)).shape == (2, 3, 33, 21)


def test_the_smallest_segformer_has_its_published_size():
    count = sum(each.numel() for each in create("transformers/segformer-b0", classes=150).parameters())
    assert count == pytest.approx(3.75e6, rel=0.01)


def test_same_seed_same_weights():
    def drawn(seed):
        torch.manual_seed(seed)
        return create("resnet8").state_dict()

    first, again, other = drawn(3), drawn(3), drawn(4)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_pretrained_without_the_auxiliary_classifier(monkeypatch):
    name = "lraspp_mobilenet_v3_large"
    published = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=21)
    build = torchvision.models.get_model

    def offline(name, **settings):
        return published if settings.get("weights") else build(name, **settings)

    monkeypatch.setattr(torchvision.models, "get_model", offline)
    network = create(f"torchvision/{name}", pretrained=True)
    key = "backbone.0.0.weight"
    assert torch.equal(network.get_parameter(key), published.get_parameter(key))
    assert network.get_parameter("classifier.low_classifier.weight").shape[0] == 5


def test_weights_of_a_file(tmp_path):
    source, path = create("resnet8"), tmp_path / "weights.pt"
    torch.save(source.state_dict(), path)
    same, other = create("resnet8", weights=path), create("resnet8", classes=7, weights=path)
    assert torch.equal(same.classifier.weight, source.classifier.weight)
    assert torch.equal(other.decoder.smooth[0].weight, source.decoder.smooth[0].weight)


def test_tags_are_the_logits_of_a_classifier():
    assert models.create("resnet8", 1, task="tag")(torch.zeros(2, 3, 8, 8)).shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "task", "answer"),
    [
        (
            "unet",
            "classify",
            "unet is a segmentation network; pass task='segment', or name a classifier such as resnet20",
        ),
        (
            "torchvision/fcn_resnet50",
            "tag",
            "torchvision has no classifier 'fcn_resnet50'; it is a segmentation network; pass task='segment', or name "
            "a classifier",
        ),
        (
            "transformers/segformer-b0",
            "classify",
            "transformers has no classifier 'segformer-b0'; it is a segmentation network; pass task='segment', or name "
            "a classifier",
        ),
        ("transformers/bert", "classify", "transformers has no classifier 'bert'; its networks are for task='segment'"),
        (
            "torchvision/resnet18",
            "segment",
            "torchvision has no segmentation network 'resnet18'; it is a classifier; there are torchvision/deeplabv3_"
            "mobilenet_v3_large, torchvision/deeplabv3_resnet101, torchvision/deeplabv3_resnet50, torchvision/fcn_"
            "resnet101, torchvision/fcn_resnet50, torchvision/lraspp_mobilenet_v3_large, timm/resnet18, which gets a "
            "decoder",
        ),
        (
            "torchvision/fcn_resnet51",
            "segment",
            "torchvision has no segmentation network 'fcn_resnet51'; nearest: torchvision/fcn_resnet50, "
            "torchvision/fcn_resnet101",
        ),
        (
            "transformers/zzz",
            "segment",
            "transformers has no segmentation network 'zzz'; nearest: transformers/segformer-b0, "
            "transformers/segformer-b1, transformers/segformer-b2, transformers/segformer-b3, "
            "transformers/segformer-b4, transformers/segformer-b5",
        ),
        ("resnet8", "dense", "there is no task 'dense'; there are classify, segment, tag"),
    ],
)
def test_another_task(name, task, answer):
    with pytest.raises(UserError) as caught:
        models.create(name, 5, task=task)
    assert str(caught.value) == answer


def test_unknown_name():
    with pytest.raises(UserError) as caught:
        create("unett")
    assert str(caught.value).startswith("there is no model 'unett' (nearest: unet")
    assert str(caught.value).endswith(", unet-WIDTH, transformers/NAME, timm/NAME and torchvision/NAME")


@pytest.mark.parametrize("name", ["unet-0", "unet-99999"])
def test_impossible_unet(name):
    with pytest.raises(UserError, match=f"there is no model '{name}'"):
        create(name)


def test_size_that_does_not_fit():
    with pytest.raises(
        UserError, match=r"inception_v3 cannot take images of 64x64 pixels .*; sizes that work: 96, 128"
    ):
        create("timm/inception_v3")
    with pytest.raises(UserError, match="images of 4x4 pixels are too small for unet; the smallest are 8x8"):
        create("unet", size=4)


def test_an_extra_library_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError) as caught:
        create("transformers/segformer-b0")
    assert str(caught.value) == (
        "transformers/segformer-b0 needs one more library: pip install 'selfdistill[transformers]'"
    )


def test_the_mode_of_a_backbone_is_training():
    network = create("timm/resnet18")
    assert isinstance(network, PixelClassifier)
    assert all(each.training for each in network.modules())
