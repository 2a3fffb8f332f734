"""Options that take several values, such as --methods."""

from selfdistill.cli.app import application, expand_list_options, list_options


def test_several_values_after_one_option():
    words = ["compare", "--methods", "a", "b", "c", "--seeds", "2", "x"]
    expanded = ["compare", "--methods", "a", "--methods", "b", "--methods", "c", "--seeds", "2", "x"]
    assert expand_list_options(words, list_options(application(), words)) == expanded


def test_options_of_several_values_are_those_of_the_command():
    assert list_options(application(), ["log", "run", "--to", "csv"]) == {"--to"}
    assert list_options(application(), ["export", "run", "--to", "onnx"]) == {"--modules"}  # --to is one format
    assert list_options(application(), ["--version"]) == frozenset()
