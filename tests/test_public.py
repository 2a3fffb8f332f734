"""The public interface: every function, class and method has an example, which pytest runs."""

import doctest
import inspect
import sys
from subprocess import run

import pytest

import selfdistill as sd
from selfdistill.loop.teach import DistillationStep
from selfdistill.study import Study

NAMES = {
    f"{module.__name__}.{name}": found
    for module in (sd, sd.methods, sd.functional, sd.metrics)
    for name in module.__all__
    if inspect.isroutine(found := getattr(module, name)) or inspect.isclass(found)
}
RETURNED = {"teach()": DistillationStep, "compare()": Study}  # public by what returns them
METHODS = {
    f"{owner}.{name}": found
    for owner, kind in (NAMES | RETURNED).items()
    if inspect.isclass(kind)
    for name, found in vars(kind).items()
    if inspect.isroutine(found) and not name.startswith("_")
}
PUBLIC = NAMES | RETURNED | METHODS


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example_of_at_most_four_lines(name):
    examples = doctest.DocTestParser().get_examples(PUBLIC[name].__doc__ or "")
    assert 1 <= sum(each.source.count("\n") for each in examples) <= 4


@pytest.mark.parametrize("name", ["data", "functional", "methods", "metrics"])
def test_packages_are_loaded_on_first_use(name):
    assert run([sys.executable, "-c", f"import selfdistill as sd; sd.{name}"], check=False).returncode == 0


@pytest.mark.parametrize("name", ["selfdistill.run", "selfdistill.methods.drg", "selfdistill.LossTerm.build"])
def test_names_are_found(name):
    assert name in PUBLIC
