"""Random method expressions: each is refused in words, or is a method that is read back from its own text as itself.

    python benchmarks/random_expressions.py --count 20000 --seed 0

Half are drawn from the grammar, with arguments that fit and that do not; half are mutations of such texts: characters
and brackets changed, repeated, nested, joined, in other alphabets and as bytes that are no text. Prints the counts and
the slowest, and each failure; the exit status is 1 if there is one.
"""

import argparse
import io
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from selfdistill.cli.app import main as command
from selfdistill.errors import UserError
from selfdistill.method.constructor import signature
from selfdistill.methods import REGISTRY, parse_method, parse_stored_method
from selfdistill.schema import short_repr

MOST = 1_000_000  # characters
SLOW = 1.0  # seconds
COMMAND = 20  # one text in so many goes through the command too, which is slow to start
OWN = """
from selfdistill import Method, UserError, method_constructor

NUMBER, TEXT, LIST = 3, "text", [1]

@method_constructor
def good(share: float = 0.5, tap: str = "stage1") -> Method:
    return Method()

@method_constructor
def raises():
    raise RuntimeError("on purpose")

@method_constructor
def recurs():
    return recurs()

@method_constructor
def nothing():
    return None

@method_constructor
def annotated(value: "Unknown" = 3):
    return Method()

def unmarked():
    raise SystemExit("an unmarked function was called")
"""
OWN_NAMES = (
    "good",
    "raises",
    "recurs",
    "nothing",
    "annotated",
    "unmarked",
    "NUMBER",
    "TEXT",
    "LIST",
    "missing",
    "Method",
)
NUMBERS = ("0", "1", "-1", "2", "0.5", "1.0", "-0.0", "1e-9", "1e308", "1e999", "-1e999", "3_000", "0x10", "1j", "00")
NUMBERS += ("9" * 400, "9" * 5000, f"0x{'f' * 5000}", f"-{'9' * 30}", f"0.{'3' * 400}", "2**64", "True", "None", "1e")
TEXTS = ("'stage2'", "'rest'", "'a:b()'", r"'it\'s'", "'\udcff'", r"'\ud800'", r"'\d'", "'é'", "b'x'", "f'{1}'", "''")
OTHERS = ("(1, 2)", "[1]", "{}", "{[]: 1}", "...", "open('x')", "lambda: 1", "x", "*(1,)", "-'a'", "1 if 1 else 2")
BRACKETS = (("control(", ")"), ("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("a.", ""), ("f(x=", ")"))
LETTERS = "()[]{}+-*=,.:'\"\\ \n\t\0#@%abcxyz019_éß٣𝟙\u202e\udcff"


def expression(draw: random.Random) -> str:
    parts = [call(draw) for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 6)))]
    text = draw.choice((" + ", "+", " - ", " ")).join(parts) if draw.random() < 0.1 else " + ".join(parts)
    return f"control({text})" if draw.random() < 0.1 else text


def call(draw: random.Random) -> str:
    if draw.random() < 0.15:
        return f"random_expressions_own:{draw.choice(OWN_NAMES)}({arguments(draw, ['share', 'tap', 'value'])})"
    name = draw.choice(list(REGISTRY))
    known = [each.split("=")[0] for each in signature(name, REGISTRY[name])[len(name) + 1 : -1].split(", ") if each]
    return f"{name}({arguments(draw, known)})"


def arguments(draw: random.Random, known: list[str]) -> str:
    names = draw.choices([*known, "weight", "no"], k=draw.choice((0, 1, 1, 2, 3)))
    values = [draw.choice(draw.choices((NUMBERS, TEXTS, OTHERS), (6, 3, 1))[0]) for _ in names]
    pairs = [value if draw.random() < 0.1 else f"{name}={value}" for name, value in zip(names, values, strict=True)]
    return ", ".join(pairs)


def mutated(draw: random.Random) -> str:
    text = expression(draw)
    for _ in range(draw.choice((1, 1, 2, 5))):
        text = draw.choice(MUTATIONS)(text, draw)[:MOST]
    return text


def _replace(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text) + 1)
    return text[:place] + draw.choice(LETTERS) * draw.choice((1, 1, 3)) + text[place + draw.randrange(3) :]


def _cut(text: str, draw: random.Random) -> str:
    start, end = sorted(draw.choices(range(len(text) + 1), k=2))
    return text[:start] + text[end:]


def _repeat(text: str, draw: random.Random) -> str:
    start, end = sorted(draw.choices(range(len(text) + 1), k=2))
    return text[:end] + text[start:end] * min(draw.choice((2, 50, 3000)), MOST // (end - start + 1)) + text[end:]


def _nest(text: str, draw: random.Random) -> str:
    opening, closing = draw.choice(BRACKETS)
    depth = draw.choice((2, 90, 250, 900, 5000))
    return opening * depth + text + closing * depth


def _join(text: str, draw: random.Random) -> str:
    return " + ".join([text] * min(draw.choice((2, 40, 900, 6000)), MOST // (len(text) + 1) + 1))


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (_replace, _replace, _replace, _cut, _repeat, _nest, _join)


def outcome(text: str) -> str:
    """Return "refused" or "a method"; raise for anything else."""
    try:
        made = parse_method(text)
    except UserError as error:
        if len(str(error)) > 2000:
            raise AssertionError(f"a message of {len(str(error)):,} characters") from None
        return "refused"
    for again in (parse_method(made.text), parse_method(made.resolved)):
        if again.resolved != made.resolved:
            raise AssertionError(f"read back as {short_repr(again.resolved)}")
    if "random_expressions_own" not in text and parse_stored_method(made.text).resolved != made.resolved:
        raise AssertionError("a record reads another method")
    return "a method"


def status(text: str) -> int:
    """Return the exit status of the command `cite`."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
        try:
            command(["cite", "--", text])
        except SystemExit as end:
            if end.code not in (0, 2) or "Traceback" in err.getvalue():
                raise AssertionError(f"exit status {end.code}: {err.getvalue()[:300]}") from None
            return int(end.code)
    return 0


def tried(text: str, with_command: bool) -> tuple[str, str]:
    """Return what became of a text, and the failure in words, if it is one."""
    try:
        found = outcome(text)
        if with_command:
            status(text)
    except (Exception, SystemExit) as error:
        return "failure", "".join(traceback.format_exception(error)[-3:])
    return found, ""


def run(count: int, seed: int) -> int:
    counts: Counter[str] = Counter()
    slowest, longest = "", 0.0
    for number in range(count):
        draw = random.Random(f"{seed}:{number}")
        text = expression(draw) if number % 2 else mutated(draw)
        began = time.perf_counter()
        found, why = tried(text, number % COMMAND == 0)
        seconds = time.perf_counter() - began
        if seconds > SLOW and not why:
            found, why = "failure", f"took {seconds:.1f} s"
        if seconds > longest:
            slowest, longest = text, seconds
        counts[found] += 1
        if why:
            print(f"{number}: {short_repr(text)}\n{why}")
    print(f"{dict(counts)}; slowest {1000 * longest:.0f} ms: {short_repr(slowest)}")
    return counts["failure"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "random_expressions_own.py").write_text(OWN)
        sys.path.insert(0, folder)
        sys.exit(1 if run(options.count, options.seed) else 0)
