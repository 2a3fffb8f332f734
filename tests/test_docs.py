"""What the documents say runs, and names what there is."""

import re
from pathlib import Path

import pytest

from selfdistill.method.citation import field
from selfdistill.method.constructor import signature
from selfdistill.methods import REGISTRY
from selfdistill.report import PICTURES
from tests.contract.test_padding import STATISTICS
from tests.contract.test_pixels import REFUSED as REFUSED_PIXELS
from tests.contract.test_tags import REFUSED as REFUSED_TAGS
from tests.contract.test_tokens import ERASES
from tests.contract.test_tokens import REFUSED as REFUSED_TOKENS
from tests.helpers.kinds import KINDS, OF_TEXT

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{k}")
    for page in PAGES
    for k, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_code_runs(block, monkeypatch):
    monkeypatch.setattr("selfdistill.report.PICTURES", list(PICTURES))  # a page of the guide adds one
    exec(compile(block, "document", "exec"), {"__name__": "document"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("name", REGISTRY)
def test_every_method_has_a_card_with_its_arguments(name):
    card = (ROOT / "docs" / "methods" / f"{name}.md").read_text()
    headings = re.findall(r"^## (.*)$", card, re.M)
    wanted = "Formula,Use,Arguments,What is exact, what is ours,Traps,Cost,What to expect,Source"
    assert ",".join(headings) == wanted
    told = [f"{key}={value}" for key, value in re.findall(r"^\| `(\w+)` \| `(.*?)` \|", card, re.M)]
    assert f"{name}({', '.join(told)})" == signature(name, REGISTRY[name])


TABLE = ROOT / "docs" / "methods" / "README.md"


def test_the_table_names_every_method():
    assert set(re.findall(r"^\| \[`(\w+)`\]", TABLE.read_text(), re.M)) == set(REGISTRY)


def test_the_table_links_each_methods_paper():
    text = TABLE.read_text()
    for make in REGISTRY.values():
        for paper in make().papers:
            assert field(paper, "url") in text


def test_the_commands_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^demo:", makefile, re.M)
    assert re.search(r"^test:", makefile, re.M)


INPUTS = (ROOT / "docs" / "guide" / "inputs.md").read_text()
IN_A_LOOP = {name for name, make in REGISTRY.items() if make().momentum_gap is None}


def rows_of(table):
    """The cells of a table's rows, without the first two lines."""
    return [[each.strip() for each in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def names_in(cell):
    return re.findall(r"`(\w+)`", cell)


def table_with(heading):
    return re.search(rf"^\| {heading}.*?(?=\n\n)", INPUTS, re.M | re.S)[0]


def test_the_page_of_inputs_tells_every_kind_and_what_is_refused():
    rows = {kind: (int(count), names_in(refused)) for kind, _, count, refused, *_ in rows_of(table_with("my inputs"))}
    assert [*rows] == [*KINDS]
    for kind, (count, refused) in rows.items():
        assert sorted(refused) == sorted(KINDS[kind].refused), kind
        assert count == len(IN_A_LOOP - {*refused}), kind
    assert f"of {len(REGISTRY)}, that train" in INPUTS
    assert {*REGISTRY} - IN_A_LOOP == {"dot"}


def test_the_page_of_inputs_tells_which_methods_count_padding():
    counting, others = (row[0] for row in rows_of(table_with("methods")))
    assert {*names_in(counting)} == STATISTICS
    assert re.search(r"\d+", others)[0] == str(len(IN_A_LOOP - {*OF_TEXT} - STATISTICS))


@pytest.mark.parametrize(
    ("heading", "refused"),
    [("Pixels", {*REFUSED_PIXELS}), ("Tokens", {*REFUSED_TOKENS, *ERASES}), ("Tags", {*REFUSED_TAGS})],
)
def test_the_page_of_inputs_tells_what_is_refused_for(heading, refused):
    section = re.search(rf"^## {heading}\n.*?(?=^## |\Z)", INPUTS, re.M | re.S)[0]
    assert {*names_in(section[section.index("Refused are") :])} == refused
