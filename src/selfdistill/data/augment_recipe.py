"""Named augmentation recipes, each part of which an option may replace; imports no torch."""

from dataclasses import dataclass, replace

from selfdistill.data.autoaugment import SUB_POLICIES
from selfdistill.errors import UserError

POLICIES = ("randaugment", "trivialaugment", *SUB_POLICIES)


@dataclass(frozen=True)
class AugmentRecipe:
    """The augmentation of a training image, before the data are known.

    `pad` crops the image padded by an eighth of its side; `crop_scale` is the range of a random resized crop's area as
    a share of the image's; `flip` None flips unless the data forbid it; `jitter` is the largest change of brightness,
    contrast and saturation; `erase` is the probability of random erasing; `interpolation` is of resized crops.
    """

    pad: bool = True
    flip: bool | None = None
    crop_scale: tuple[float, ...] | None = None
    policy: str | None = None
    jitter: float = 0.0
    erase: float = 0.0
    interpolation: str = "bicubic"
    name: str = "auto"


RECIPES = {
    "auto": AugmentRecipe(),
    "none": AugmentRecipe(pad=False, flip=False, name="none"),
    "cifar": AugmentRecipe(name="cifar"),
    "light": AugmentRecipe(pad=False, crop_scale=(0.67, 1.0), name="light"),
    "imagenet": AugmentRecipe(pad=False, crop_scale=(0.08, 1.0), name="imagenet"),
}
CHOICES = f"{', '.join(RECIPES)}; or one with a policy ({', '.join(POLICIES)}), such as auto:{POLICIES[0]}"


def parse_augment(text: str) -> AugmentRecipe:
    """Parse "imagenet" or "auto:randaugment". Raises `UserError`.

    >>> parse_augment("none:trivialaugment").policy
    'trivialaugment'
    """
    name, colon, policy = text.partition(":")
    if name not in RECIPES or (colon and policy not in POLICIES):
        raise UserError(f"augment must be {CHOICES}; but is {text}")
    return replace(RECIPES[name], policy=policy or None)


def augment_recipe(augment: str = "auto", **parts: object) -> AugmentRecipe:
    """Return a recipe by name, with the parts that are not None in place of its own. Raises `UserError`.

    A `crop_scale` takes the place of the padded crop.

    >>> augment_recipe("imagenet", flip=False).crop_scale
    (0.08, 1.0)
    """
    given = {name: value for name, value in parts.items() if value is not None}
    if "crop_scale" in given:
        given["pad"] = False
    return replace(parse_augment(augment), **given)  # type: ignore[arg-type]  # checked by the configuration
