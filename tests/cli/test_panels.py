"""Help of the commands by panels."""

import pytest

from selfdistill.cli.app import application
from selfdistill.cli.options import HELP
from selfdistill.cli.panels import PANELS, RUN, panel_of
from tests.helpers.small_runs import command

TRAINING = ("train", "compare", "tune", "study")


@pytest.mark.parametrize("name", TRAINING)
def test_every_option_of_the_training_commands_has_a_panel(name):
    options = [each for each in application().commands[name].params if each.param_type_name == "option"]
    assert options
    assert [each.name for each in options if not each.rich_help_panel] == []


def test_panels_have_every_field_once():
    fields = [name for names in PANELS.values() for name in names]
    assert sorted(fields) == sorted(HELP)
    assert panel_of("nothing") is None


def test_the_help_lists_options_by_panel(capsys):
    lines = command(capsys, "train", "--help")[1].splitlines()
    titles = [each.removesuffix(":") for each in lines if each.endswith(":") and not each.startswith(" ")]
    assert titles == ["Arguments", "Options", RUN, *PANELS]
    place = {word: at for at, line in enumerate(lines) for word in line.split()[:1]}
    assert place["--seed"] < place["Data:"] < place["--limit"] < place["Augmentation:"] < place["--flip"]
    assert place["Schedule:"] < place["--patience"] < place["Hardware:"] < place["--devices"]


def test_published_tables_have_their_own_recipes(capsys):
    status, _, words = command(capsys, "reproduce", "--recipe", "cifar")
    assert status == 2
    assert "No such option: --recipe" in words
