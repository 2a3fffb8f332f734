import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms

from selfdistill.data.augment_recipe import POLICIES
from selfdistill.data.autoaugment import SUB_POLICIES
from selfdistill.data.image_operations import OPERATIONS, Operation, apply_operation
from selfdistill.data.policies import AUTO_AUGMENT, RAND_AUGMENT, TRIVIAL_AUGMENT, draw_operations

HEIGHT, WIDTH = 24, 30
SPACES = {
    "randaugment": (RAND_AUGMENT, transforms.RandAugment._AUGMENTATION_SPACE, 31),
    "trivialaugment": (TRIVIAL_AUGMENT, transforms.TrivialAugmentWide._AUGMENTATION_SPACE, 31),
    "autoaugment": (AUTO_AUGMENT, transforms.AutoAugment()._AUGMENTATION_SPACE, 10),
}


def picture():
    return torch.randint(0, 256, (3, HEIGHT, WIDTH), generator=generator(0), dtype=torch.uint8)


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("magnitude", [0.3, 4.0])
def test_an_operation_is_torchvisions(name, magnitude):
    magnitude = min(magnitude, 1.0) if name == "Solarize" else magnitude
    theirs = transforms.RandAugment()._apply_image_or_video_transform(
        picture(), name, magnitude, InterpolationMode.BILINEAR, {torch.Tensor: None}
    )
    assert apply_operation(picture(), Operation(name, magnitude)).equal(theirs)


@pytest.mark.parametrize("policy", SPACES)
def test_magnitudes_are_torchvisions(policy):
    ours, theirs, bins = SPACES[policy]
    assert set(ours) >= set(theirs)
    for name, (magnitudes, signed) in theirs.items():
        span, side = ours[name], {"TranslateX": WIDTH, "TranslateY": HEIGHT}.get(name, 1)
        assert span.signed == signed
        if (wanted := magnitudes(bins, HEIGHT, WIDTH)) is not None and name != "Posterize":
            ends = torch.tensor([span.weakest, span.strongest]) * (side if span.of_side else 1)
            torch.testing.assert_close(torch.linspace(*ends.tolist(), bins), wanted.float())


def test_sub_policies_are_torchvisions():
    names = {"autoaugment": "imagenet", "autoaugment-cifar10": "cifar10", "autoaugment-svhn": "svhn"}
    for ours, theirs in names.items():
        found = transforms.AutoAugment(transforms.AutoAugmentPolicy(theirs))._policies
        assert list(SUB_POLICIES[ours]) == [tuple((a, b, c or 0) for a, b, c in pair) for pair in found]


@pytest.mark.parametrize("policy", POLICIES)
def test_draws_depend_on_the_generator_alone(policy):
    torch.manual_seed(1)
    first = [draw_operations(policy, HEIGHT, WIDTH, generator(seed)) for seed in range(40)]
    torch.manual_seed(2)
    assert first == [draw_operations(policy, HEIGHT, WIDTH, generator(seed)) for seed in range(40)]
    assert len({str(each) for each in first}) > 15


def test_rand_augment_draws_two_of_all_operations_at_magnitude_nine_of_both_signs():
    drawn = [each for seed in range(300) for each in draw_operations("randaugment", 32, 64, generator(seed))]
    assert len(drawn) == 600
    assert {each.name for each in drawn} == set(RAND_AUGMENT)
    assert {round(each.magnitude, 4) for each in drawn if each.name == "Rotate"} == {-9.0, 9.0}
    assert {each.magnitude for each in drawn if each.name == "Posterize"} == {7}
    assert {round(abs(each.magnitude), 3) for each in drawn if each.name == "TranslateX"} == {
        round(13.595 / 100 * 64, 3)
    }
