"""The table of methods: complete, as the page prints it, and in agreement with the methods."""

import importlib.util
import re
from pathlib import Path

import pytest

from selfdistill.method.families import method_families
from selfdistill.methods import REGISTRY
from tests.contract.steps import distil

ROOT = Path(__file__).parents[2]
PROFILES = {each.name: each for family in method_families() for each in family.profiles}
TESTS = [file.read_text() for file in (ROOT / "tests" / "methods").glob("*.py")]


def test_every_method_is_in_one_family():
    names = [each.name for family in method_families() for each in family.profiles]
    assert sorted(names) == sorted(REGISTRY)


def test_the_page_is_the_one_that_is_generated():
    file = ROOT / "docs" / "methods" / "page.py"
    module = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("page", file))
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "methods" / "README.md").read_text() == module.page(), "run python docs/methods/page.py"


@pytest.mark.parametrize("name", REGISTRY)
def test_passes_and_needs_are_those_of_the_method(name):
    told, made = PROFILES[name], REGISTRY[name]()
    terms = made.all_terms.values()
    views = [view for term in terms for view in term.views]
    if told.passes.startswith("1 + 0"):
        assert not views
    else:
        assert views or made.momentum_gap is not None
    assert any(view.network == "teacher" for view in views) == bool(re.search("teacher|copy", told.passes) and views)
    assert any(term.uses_index for term in terms) == bool(re.search("index|indices", told.needs))
    assert bool(made.needs.keys() & {"peer", "twin", "last", "negatives", "order"}) == bool(
        re.search("second image|augmented|previous batch|negatives|groups", told.needs)
    )


@pytest.mark.parametrize("name", sorted({*REGISTRY} - {"crd", "kdcl", "dml", "codistillation", "dot"}))
def test_parameters_are_added_where_the_table_says_so(name):
    added = sum(each.numel() for term in distil(f"{name}()").terms.values() for each in term.parameters())
    assert bool(added) == (not PROFILES[name].added.startswith("0"))


REPRODUCED = {name for name, each in PROFILES.items() if each.evidence.startswith("reference")}


@pytest.mark.parametrize("name", sorted(REPRODUCED - {"dot"}))  # the tests of its optimizer read it
def test_a_reference_is_read_by_a_test(name):
    assert any(re.search(rf"\b{name}\b", text) and "reference(" in text for text in TESTS)
