"""Named recipes: values of a configuration that belong together, a file each."""

import tomllib
from difflib import get_close_matches
from importlib.resources import files
from typing import Any, NamedTuple

from selfdistill.errors import UserError

RECIPES = ("cifar", "scratch-small", "finetune", "vit-finetune", "fine-grained", "imagenet")


class Recipe(NamedTuple):
    """The values of a recipe, what it is for, and where it comes from."""

    about: str
    source: str
    own: str  # what is not from the source
    values: dict[str, Any]  # by field of `RunConfig`
    trained: bool = False  # for trained weights only


def read_recipe(name: str) -> Recipe:
    """Read a recipe by name. Raises `UserError` with the nearest names."""
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, n=3, cutoff=0.4) or RECIPES
        raise UserError(f"there is no recipe {name!r}; nearest: {', '.join(near)}")
    text = (files("selfdistill.recipes") / f"{name}.toml").read_text()
    return Recipe(**tomllib.loads(text))
