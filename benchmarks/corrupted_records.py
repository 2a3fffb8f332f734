"""Corrupted records: each command over a damaged study ends in words, or leaves the damaged run out.

    python benchmarks/corrupted_records.py --count 500 --seed 0

A small study is trained once. Each case copies it, damages one file (keys dropped, altered and retyped, files cut,
other JSON, NaN, huge numbers, deep nesting, bytes that are no text, files swapped between runs, weights and
checkpoints with a right checksum and other content), and runs a command over it in this process. Prints the exit
statuses, and each failure: any exception, traceback or five minutes without end. The exit status is 1 if there are any.
"""

import argparse
import io
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from selfdistill.cli.app import main as command
from selfdistill.train.persist import checkpoint

RECIPE = ["--data", "fake:classes=3,size=8,train=24,test=12", "--epochs", "2", "--batch-size", "8"]
COMPARE = ["compare", "--methods", "ce()", "drg()", "--seeds", "2", *RECIPE, "--validation", "0.2"]
METRICS = ("--metrics", "basic", "knn", "fgsm", "classes", "corruption")
RUNS = ("runs/ce/seed0", "runs/ce/seed1", "runs/drg/seed0", "runs/drg/seed1")
JSON_FILES = ("run.json", "result.json", "metrics.json", "log.jsonl")
VALUES: tuple[Any, ...] = (None, True, -1, 0, 3, 10**19, 10**400, -0.5, 1e308, 1e-300)
VALUES += ("", "two", "ce()", "é\ud800", [], [1], {}, {"a": 1})
CONSTANTS = ("NaN", "Infinity", "-Infinity", "1e999")
NOT_JSON = (b"", b"{", b"null", b"[]", b"3", b'"text"', b"\xff\xfe\x00", b"\0" * 100)
NOT_JSON += (b'{"a": ' * 100_000, b"[" * 100_000, b"\n\n")
KINDS = ("value", "value", "value", "value", "drop", "drop", "add", "rename", "cut", "constant", "file", "byte")


def damaged_json(text: bytes, draw: random.Random) -> bytes:
    kind = draw.choice(KINDS)
    if kind == "file":
        return draw.choice(NOT_JSON)
    if kind == "cut":
        return text[: draw.randrange(len(text))]
    if kind == "byte":
        place = draw.randrange(len(text))
        return text[:place] + bytes([draw.randrange(256)]) + text[place + 1 :]
    lines = text.splitlines() if text.count(b"\n{") else [text]
    number = draw.randrange(len(lines))
    lines[number] = _damaged_line(lines[number], kind, draw)
    return b"\n".join(lines) + b"\n"


def _damaged_line(line: bytes, kind: str, draw: random.Random) -> bytes:
    values = json.loads(line)
    places = list(_places(values))
    holder, key = draw.choice(places)
    if kind == "drop":
        del holder[key]
    elif kind == "rename" and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    elif kind == "add" and isinstance(holder, dict):
        holder["of another version"] = draw.choice(VALUES)
    else:
        holder[key] = "@@" if kind == "constant" else draw.choice(VALUES)
    return json.dumps(values).replace('"@@"', draw.choice(CONSTANTS)).encode("ascii")


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield value, key
            yield from _places(each)


def damage_json(study: Path, draw: random.Random) -> tuple[str, Path]:
    run = study / draw.choice(RUNS)
    name = draw.choice((*JSON_FILES, *JSON_FILES, "study.json"))
    path = study / name if name == "study.json" else run / name
    path.write_bytes(damaged_json(path.read_bytes(), draw))
    return str(path.relative_to(study)), run


def swap(study: Path, draw: random.Random) -> tuple[str, Path]:
    """Put a file in the place of another run's, or in the place of another file."""
    run, other = (study / each for each in draw.sample(RUNS, 2))
    name = draw.choice((*JSON_FILES, "student.safetensors", "best.safetensors", "last.ckpt"))
    source = other / name if draw.random() < 0.5 else run / draw.choice(JSON_FILES)
    (run / name).write_bytes(source.read_bytes())
    return f"{source.relative_to(study)} as {name}", run


def damage_weights(study: Path, draw: random.Random) -> tuple[str, Path]:
    run = study / draw.choice(RUNS)
    path = run / "student.safetensors"
    state = load_file(path)
    what = _damage_tensors(state, draw)
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return f"weights: {what}", run


def damage_checkpoint(study: Path, draw: random.Random) -> tuple[str, Path]:
    """Change a checkpoint that has a right checksum; the run is to go on from it."""
    run = study / draw.choice(RUNS)
    for name in ("result.json", "student.safetensors", "previous.ckpt"):
        (run / name).unlink(missing_ok=True)
    state = checkpoint.read(run / "last.ckpt")
    if draw.random() < 0.4:
        what = _damage_tensors(state[draw.choice(("student", "student", "terms"))], draw)
    else:
        holder, key = draw.choice(list(_places(state)))
        what = f"{key}"
        if draw.random() < 0.3:
            del holder[key]
        else:
            holder[key] = draw.choice((*VALUES, torch.zeros(3), {"a": torch.zeros(2)}, float("nan")))
    checkpoint.save(run, state)
    (run / "previous.ckpt").unlink(missing_ok=True)
    return f"checkpoint: {what}", run


def _damage_tensors(state: dict[str, torch.Tensor], draw: random.Random) -> str:
    if not state:
        state["more"] = torch.zeros(2)
        return "a tensor more"
    key = draw.choice(sorted(state))
    change = draw.choice(sorted(TENSORS))
    changed = TENSORS[change](state.pop(key))
    if changed is not None:
        state["more" if change == "renamed" else key] = changed
    return f"{key} {change}"


TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor | None]] = {
    "dropped": lambda value: None,
    "renamed": lambda value: value,
    "longer": lambda value: torch.cat([value.reshape(-1), value.reshape(-1)]),
    "with an axis more": lambda value: value[None],
    "of no size": lambda value: torch.zeros(0),
    "NaN": lambda value: torch.full(value.shape, float("nan")),
    "of whole numbers": lambda value: value.to(torch.int32),
    "of bytes": lambda value: torch.zeros(value.shape, dtype=torch.uint8),
    "of booleans": lambda value: value.bool(),
}
DAMAGES = (damage_json, damage_json, damage_json, damage_json, damage_json, swap, damage_weights, damage_checkpoint)


def commands(study: Path, run: Path) -> list[list[str]]:
    train = ["train", f"{run.parent.name}()", "--seed", run.name[-1], *RECIPE, "--validation", "0.2", "--out", str(run)]
    return [
        ["report", str(study), "--no-pictures", "--out", str(study / "page")],
        ["report", str(study), "--out", str(study / "page")],
        ["evaluate", str(study)],
        ["evaluate", str(run), "--metrics", "basic", "cost"],
        ["export", str(run)],
        [*COMPARE, "--out", str(study), "--metrics", "basic", "--report"],
        train,
    ]


def status(words: list[str]) -> tuple[int, str]:
    """Return a command's exit status and its errors; raise what it raises."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            command(words)
        except SystemExit as end:
            return int(end.code or 0), out.getvalue() + err.getvalue()
    return 0, out.getvalue() + err.getvalue()


def tried(template: Path, folder: Path, draw: random.Random) -> tuple[str, str]:
    """Return how a case ended, and the failure in words, if it is one."""
    study = folder / "study"
    shutil.copytree(template, study)
    damage = draw.choice(DAMAGES)
    what, run = damage(study, draw)
    found = commands(study, run)
    words = found[-1] if damage is damage_checkpoint else draw.choices(found, (6, 1, 3, 3, 3, 2, 2))[0]
    began = time.perf_counter()
    try:
        code, said = status(words)
    except Exception as error:
        return "failure", f"{what}: {words[0]}: {''.join(traceback.format_exception(error)[-4:])}"
    finally:
        shutil.rmtree(study)
    if code not in (0, 1, 2) or "Traceback" in said or (code and "selfdistill:" not in said):
        return "failure", f"{what}: {words[0]} ended with {code}: {said[-500:]}"
    if (seconds := time.perf_counter() - began) > 300:
        return "failure", f"{what}: {words[0]} took {seconds:.0f} s"
    return f"exit status {code}", ""


def run(count: int, seed: int) -> int:
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        template = Path(name) / "template"
        code, said = status([*COMPARE, "--out", str(template), *METRICS])
        if code:
            raise SystemExit(said)
        for number in range(count):
            ended, why = tried(template, Path(name), random.Random(f"{seed}:{number}"))
            counts[ended] += 1
            if why:
                print(f"{number}: {why}", flush=True)
    print(dict(counts))
    return counts["failure"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(1 if run(options.count, options.seed) else 0)
