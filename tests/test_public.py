"""The public interface: every function and class has an example that runs."""

import doctest
import inspect

import pytest

import selfdistill as sd

MODULES = (sd, sd.methods, sd.functional, sd.metrics)
PUBLIC = [
    pytest.param(found, id=f"{module.__name__}.{name}")
    for module in MODULES
    for name in module.__all__
    if inspect.isroutine(found := getattr(module, name)) or inspect.isclass(found)
]


@pytest.mark.parametrize("found", PUBLIC)
def test_a_public_name_has_an_example_of_at_most_four_lines(found):
    examples = doctest.DocTestParser().get_examples(found.__doc__ or "")
    assert 1 <= sum(each.source.count("\n") for each in examples) <= 4
