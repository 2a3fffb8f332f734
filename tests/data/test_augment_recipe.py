import pytest

from selfdistill.data.augment_recipe import RECIPES, AugmentRecipe, augment_recipe
from selfdistill.errors import UserError


def test_auto_is_the_default():
    assert augment_recipe() == AugmentRecipe() == RECIPES["auto"]


def test_a_policy_is_added_to_any_recipe():
    assert augment_recipe("none:randaugment") == AugmentRecipe(False, False, policy="randaugment", name="none")


def test_resized_crops_replace_the_padded_crop():
    assert augment_recipe("cifar", crop_scale=(0.5, 1.0)) == AugmentRecipe(False, crop_scale=(0.5, 1.0), name="cifar")


def test_given_parts_win_and_none_keeps_the_recipes():
    made = augment_recipe("imagenet", flip=False, jitter=0.4, erase=None, interpolation="bilinear")
    assert made == AugmentRecipe(False, False, (0.08, 1.0), None, 0.4, 0.0, "bilinear", "imagenet")


@pytest.mark.parametrize("text", ["strong", "auto:", "auto:augmix", ":randaugment", "randaugment"])
def test_an_unknown_name_is_told_with_those_that_exist(text):
    with pytest.raises(UserError) as told:
        augment_recipe(text)
    assert str(told.value) == (
        "augment must be auto, none, cifar, light, imagenet; or one with a policy (randaugment, trivialaugment, "
        f"autoaugment, autoaugment-cifar10, autoaugment-svhn), such as auto:randaugment; but is {text}"
    )
