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


def test_the_complete_help_lists_options_by_panel(capsys):
    status, text, _ = command(capsys, "train", "--help-all")
    lines = text.splitlines()
    titles = [each.removesuffix(":") for each in lines if each.endswith(":") and not each.startswith(" ")]
    assert status == 0
    assert titles == ["Arguments", "Options", RUN, *PANELS]
    place = {word: at for at, line in enumerate(lines) for word in line.split()[:1]}
    assert place["--seed"] < place["Data:"] < place["--limit"] < place["Augmentation:"] < place["--flip"]
    assert place["Schedule:"] < place["--patience"] < place["Hardware:"] < place["--devices"]
    assert "Epochs of linear learning rate warmup." in text


@pytest.mark.parametrize(("name", "lines"), [("train", 50), ("compare", 60), ("tune", 56), ("doctor", 48)])
def test_the_help_of_many_options_fits_a_screen_and_names_every_option(capsys, monkeypatch, name, lines):
    monkeypatch.setenv("COLUMNS", "80")
    status, text, _ = command(capsys, name, "--help")
    assert status == 0
    assert len(text.splitlines()) <= lines
    options = [each.opts[0] for each in application().commands[name].params if each.param_type_name == "option"]
    assert set(options) <= set(text.replace(",", " ").split())


def test_the_help_of_few_options_describes_all(capsys):
    assert "--help-all" not in command(capsys, "plan", "--help")[1]
    assert command(capsys, "plan", "--help-all")[0] == 2


def test_published_tables_have_their_own_recipes(capsys):
    status, _, words = command(capsys, "reproduce", "--recipe", "cifar")
    assert status == 2
    assert "No such option: --recipe" in words
