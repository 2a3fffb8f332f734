"""Methods read from source equal imported ones, without torch."""

import inspect
import subprocess
import sys

import pytest

from selfdistill.cli.method_source import cited, method_names, read_method
from selfdistill.method.constructor import signature
from selfdistill.methods import REGISTRY, parse_method

COMMANDS = (
    ("methods",),
    ("methods", "dsr"),
    ("methods", "--cost", "--needs"),
    ("cite", "control(drg(alpha=0.3)) + lightskd()"),
    *((name, "--help") for name in ("compare", "study", "reproduce", "train", "report", "evaluate", "export")),
    *((name, "--help") for name in ("plan", "taps", "bench", "doctor", "methods", "cite")),
    ("--help",),
    ("--version",),
)
CHECK = """
import sys, time
from selfdistill.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
loaded = [name for name in ("torch", "torchvision", "numpy", "matplotlib") if name in sys.modules]
assert not loaded, loaded
print(time.process_time(), file=sys.stderr)
"""


@pytest.mark.parametrize("name", REGISTRY)
def test_source_and_import_agree(name):
    found, made = read_method(name), REGISTRY[name]
    assert found.signature == signature(name, made)
    assert found.doc == inspect.getdoc(made)
    assert found.papers == made().papers


def test_names_in_the_order_of_the_registry():
    assert method_names() == tuple(REGISTRY)


@pytest.mark.parametrize(
    "expression",
    ["drg(alpha=0.3) + csd()", "lightskd()", "control(drg() + sad())", "ce()", " csd() + dsr(weight=2.0) "],
)
def test_papers_of_an_expression(expression):
    assert cited(expression) == parse_method(expression).papers


@pytest.mark.parametrize("expression", ["drg(", "drg", "drgg()", "drg(beta=1)", "control()", "own.module:made()", ""])
def test_other_expressions_are_left_to_the_parser(expression):
    assert cited(expression) is None


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_listing_is_fast_and_does_not_import_torch(words):
    run = subprocess.run([sys.executable, "-c", CHECK, *words], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout
    assert float(run.stderr) < 0.5  # seconds of CPU time
