"""Input of trained weights, from the configurations of the libraries."""

import pytest

from selfdistill.data.center_crop import CenterCrop
from selfdistill.models.pretrained_input import PretrainedInput, pretrained_input

IMAGENET = (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("model", "mean", "crop"),
    [
        ("timm/convnext_atto", IMAGENET, CenterCrop(0.875)),
        ("timm/vit_base_patch16_224.augreg_in21k", (0.5,) * 3, CenterCrop(0.9)),
        ("torchvision/resnet50", IMAGENET, CenterCrop(224 / 232, "bilinear")),
        ("torchvision/deeplabv3_resnet50", IMAGENET, CenterCrop(1.0, "bilinear")),
    ],
)
def test_the_library_tells_the_input(model, mean, crop):
    found = pretrained_input(model, pretrained=True, weights=None)
    assert (found.mean, found.crop) == (mean, crop)


@pytest.mark.parametrize("model", ["resnet8", "transformers/segformer-b0", "timm/no_such_network"])
def test_no_input_is_known(model, tmp_path):
    assert pretrained_input(model, pretrained=True, weights=None) is None
    assert pretrained_input(model, pretrained=False, weights=str(tmp_path / "x.safetensors")) is None


def test_without_weights_there_is_none():
    assert pretrained_input("timm/convnext_atto", pretrained=False, weights=None) is None


def test_other_channels_have_the_average():
    found = PretrainedInput((0.0, 0.25, 0.5), (0.5, 0.5, 0.5), CenterCrop(), "x")
    assert found.statistics(1) == ((0.25,), (0.5,))
    assert found.statistics(3) == (found.mean, found.std)
