import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.models import create
from selfdistill.models.stem import RGB, find_stem, fold, set_channels


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7])
def test_folded_weights_are_timms(channels):
    from timm.models._manipulate import adapt_input_conv

    weight = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(channels))
    assert_close(fold(weight, channels), adapt_input_conv(channels, weight.clone()))


@pytest.mark.parametrize("name", ["resnet8", "vgg8", "mobilenetv2", "shufflenetv2", "preact_resnet18", "wrn-16-1"])
@pytest.mark.parametrize("channels", [1, 5])
def test_networks_of_this_package_read_any_channels(name, channels):
    network = create(name, 4, size=32, channels=channels).eval()
    assert network(torch.zeros(2, channels, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize("name", ["timm/resnet18", "timm/vit_tiny_patch16_224", "torchvision/resnet18", "unet-4"])
def test_networks_of_libraries_and_for_pixels_too(name):
    task = "segment" if name == "unet-4" else "classify"
    network = create(name, 4, size=32, channels=2, task=task).eval()
    assert network(torch.zeros(2, 2, 32, 32)).shape[:2] == (2, 4)


def test_untrained_weights_are_drawn_anew_with_the_same_deviation():
    torch.manual_seed(0)
    stem = find_stem(create("resnet18", 4), "resnet18").convolution
    before = stem.weight.std()
    set_channels(stem, 9, trained=False)
    assert stem.weight.shape[1] == stem.in_channels == 9
    assert_close(stem.weight.std(), before, rtol=0.05, atol=0)
    assert abs(torch.corrcoef(torch.stack([stem.weight[:, 0].flatten(), stem.weight[:, 3].flatten()]))[0, 1]) < 0.2


def test_three_channels_are_the_network_that_was_before():
    torch.manual_seed(0)
    one = create("resnet8", 4)
    torch.manual_seed(0)
    other = create("resnet8", 4, channels=3)
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def test_a_stored_network_of_three_channels_answers_the_same_of_grey_images(tmp_path):
    whole = create("resnet8", 4, size=16).eval()
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    grey = create("resnet8", 4, size=16, channels=1, weights=tmp_path / "weights.safetensors").eval()
    images = torch.randn(2, 1, 16, 16)
    assert_close(grey(images), whole(images.expand(-1, RGB, -1, -1)), rtol=1e-4, atol=1e-5)


def test_a_stored_network_of_the_same_channels_is_loaded_as_it_is(tmp_path):
    stored = create("resnet8", 4, size=16, channels=5)
    save_file(stored.state_dict(), tmp_path / "weights.safetensors")
    found = create("resnet8", 4, size=16, channels=5, weights=tmp_path / "weights.safetensors")
    assert all(map(torch.equal, stored.state_dict().values(), found.state_dict().values()))


@pytest.mark.parametrize(
    ("name", "channels", "why"),
    [
        ("resnet8", 0, "images need 1 channel or more, not 0"),
        ("torchvision/googlenet", 1, "torchvision/googlenet reads images of three channels, not 1; use a network of"),
    ],
)
def test_what_cannot_be_read_is_refused(name, channels, why):
    with pytest.raises(UserError, match=why):
        create(name, 4, channels=channels)
    with pytest.raises(UserError, match="has no convolution of three channels"):
        find_stem(torch.nn.Linear(2, 2), "own")
