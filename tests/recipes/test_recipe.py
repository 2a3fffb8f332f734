"""Recipes: their files, the page that names their values, and what may replace them."""

import re
from pathlib import Path

import pytest

from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.recipes.recipe import RECIPES, read_recipe
from selfdistill.report.text.commands import options
from selfdistill.train.config import RunConfig
from tests.helpers.small_runs import command

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "recipes.md").read_text()
FOLDER = Path(__file__).parents[2] / "src" / "selfdistill" / "recipes"
SMALL = ("--data", "digits", "--limit", 64, "--epochs", 1, "--batch-size", 32, "--warmup", 0, "--accelerator", "cpu")


def section(name):
    return re.search(rf"^## {name}$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]


def made(name, **changes):
    return RunConfig.from_recipe(name, "ce()", **{"pretrained": read_recipe(name).trained} | changes)


def test_every_file_is_a_recipe():
    assert {each.stem for each in FOLDER.glob("*.toml")} == {*RECIPES}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_its_values_and_the_page_names_them(name):
    recipe, config, text = read_recipe(name), made(name), section(name)
    for field, value in recipe.values.items():
        found = getattr(config, field)
        assert (list(found) if isinstance(found, tuple) else found) == value
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.*)` \|$", text, re.M))
    assert rows == {field: str(value) for field, value in recipe.values.items()}
    assert f"For {recipe.about}. Source: {recipe.source}. Ours: {recipe.own}." in text
    assert config.recipe == name


def test_changes_replace_values_even_by_the_usual_ones():
    config = made("cifar", schedule="cosine", batch_size=64)
    assert (config.schedule, config.batch_size, config.gamma) == ("cosine", 64, 0.2)


def test_the_name_changes_no_run():
    config = made("cifar")
    plain = RunConfig("ce()", **read_recipe("cifar").values)
    assert config.to_json() == plain.to_json()
    assert options(config) == options(plain)


@pytest.mark.parametrize(
    ("name", "changes", "answer"),
    [
        ("finetun", {}, "there is no recipe 'finetun'; nearest: finetune"),
        (
            "finetune",
            {"pretrained": False},
            "is for trained weights, but the network starts from random ones; add",
        ),
        ("cifar", {"warmup": 300}, "warmup must be from 0 to the 200 epochs, but is 300"),
    ],
)
def test_recipes_that_cannot_be_made_are_refused(name, changes, answer):
    with pytest.raises(UserError, match=answer):
        RunConfig.from_recipe(name, "ce()", **changes)


def test_weights_of_a_file_or_of_a_network_of_ones_own_are_trained():
    for changes in ({"weights": "student.safetensors"}, {"model": "mine:net"}):
        assert RunConfig.from_recipe("finetune", "ce()", **changes).optimizer == "adamw"


def test_a_run_prints_its_values_and_keeps_the_name(capsys, tmp_path):
    words = ("train", "ce()", "--recipe", "cifar", "--lr", 0.1, *SMALL, "--out", tmp_path / "run")
    status, out, err = command(capsys, *words)
    assert status == 0, err
    assert (
        "recipe cifar: epochs 1 (as given), batch size 32 (as given), optimizer sgd, lr 0.1 (as given), momentum 0.9, "
        "nesterov True, weight decay 0.0005, decay norms True, schedule step, milestones 0.3,0.6,0.8, gamma 0.2, "
        "warmup 0 (as given), augment cifar"
    ) in out
    info = read_json(tmp_path / "run" / "run.json")
    assert info["recipe"] == "cifar"
    assert (info["config"]["gamma"], info["config"]["schedule"], info["config"]["epochs"]) == (0.2, "step", 1)
    plain = (
        "train",
        "ce()",
        "--schedule",
        "step",
        "--milestones",
        "0.3,0.6,0.8",
        "--gamma",
        0.2,
        "--augment",
        "cifar",
        *SMALL,
    )
    assert command(capsys, *plain, "--out", tmp_path / "run")[0] == 0  # the same run, finished


def test_an_unknown_recipe_is_answered_in_a_line(capsys):
    status, _, err = command(capsys, "train", "ce()", "--recipe", "vit")
    assert (status, err.count("\n")) == (2, 1)
    assert "there is no recipe 'vit'; nearest: vit-finetune" in err
