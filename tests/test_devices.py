"""No accelerator is named in shared code: torch knows which there is."""

import re
from pathlib import Path

import pytest

import selfdistill

SOURCES = Path(selfdistill.__file__).parent
NAMES = re.compile(r"\b(cuda|mps|xpu|hpu)\b|\.is_cuda|\.is_mps")
EXCEPTIONS = {
    "train/config.py": "the values of the option --accelerator",
    "cli/options.py": "help",
    "train/parallel/ddp.py": "devices with fused optimizers: torch has no public list",
    "rng.py": "torch's own default, where there is no accelerator",
    "metrics/cosine.py": "MPS has no float64",
}


def code(path: Path) -> str:
    """A module without comments and docstrings."""
    text = re.sub(r'""".*?"""', "", path.read_text(), flags=re.S)
    return re.sub(r"#.*", "", text)


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: path.relative_to(SOURCES).as_posix())
def test_no_accelerator_is_named(path):
    named = NAMES.findall(code(path).lower())
    assert not named or path.relative_to(SOURCES).as_posix() in EXCEPTIONS


def test_the_exceptions_are_needed():
    assert all(NAMES.search(code(SOURCES / path)) or path == "cli/options.py" for path in EXCEPTIONS)
