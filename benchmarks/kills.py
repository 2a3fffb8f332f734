"""SIGKILLs at random moments of training: no run is lost, and each ends bit for bit as one that nobody killed.

    python benchmarks/kills.py --kills 1000 --out kills.jsonl
    python benchmarks/kills.py --kills 50 --devices 2 --out kills-2.jsonl
    python benchmarks/kills.py --kills 50 --devices 2 --strategy fsdp --out kills-fsdp.jsonl

With one process a run is forked from a process that has torch already; with several it is the command, of which one
rank or all are killed. Every finished run appends a line to `--out`; the same command goes on from there. The exit
status is 1 where a run was lost or differs.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import torch

from selfdistill.data import Splits, load
from selfdistill.train.config import RunConfig
from selfdistill.train.run import run

METHODS = (
    *("ce()", "drg() + dsr()", "csd()", "scd()", "sad()", "stkd()", "byot()", "one()", "ddgsd()", "cs_kd()", "dlb()"),
    *("kd(teacher='ema')", "ps_kd()", "mixup() + dml()", "cutmix()", "cutout()", "crd(teacher='ema')", "dot()"),
    *("ema(decay=0.9) + csd()", "label_smoothing()", "uskd()", "sla_sd()", "mixskd()", "frskd()", "adacos()"),
)
TIMES = {"seconds", "images_per_second", "step_ms", "train_seconds"}
SAVE_EVERY = 0.05  # seconds between checkpoints: kills meet saves


@dataclass(frozen=True)
class Attempt:
    """One process, or one group of them, that trains a run."""

    pid: int
    wait: Callable[[], int]  # until it ends; -> its exit status, or minus the signal


def forked(config: RunConfig, folder: Path, splits: Splits) -> Attempt:
    """Train in a forked process."""
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        try:
            run(config, folder, splits=splits, save_every=SAVE_EVERY)
            os._exit(0)
        except BaseException:
            os._exit(1)
    return Attempt(child, lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def commanded(config: RunConfig, folder: Path, splits: Splits) -> Attempt:
    """Train by the command, in a process group of its own."""
    names = ("limit", "epochs", "batch_size", "model", "devices", "strategy")
    options = [f"--{name.replace('_', '-')}={getattr(config, name)}" for name in names]
    command = [sys.executable, "-m", "selfdistill", "train", config.method, *options, f"--out={folder}"]
    log = open(folder.with_suffix(".log"), "a")  # noqa: SIM115  # the process keeps it
    process = subprocess.Popen(
        [*command, "--accelerator=cpu", f"--save-every={SAVE_EVERY}"], stdout=log, stderr=log, start_new_session=True
    )
    return Attempt(process.pid, process.wait)


def kill(attempt: Attempt, draws: random.Random, several: bool) -> None:
    """Kill the process; of several one of them or all."""
    if not several:
        os.kill(attempt.pid, signal.SIGKILL)
        return
    children = [int(each) for each in Path(f"/proc/{attempt.pid}/task/{attempt.pid}/children").read_text().split()]
    if children and draws.random() < 0.5:
        os.kill(draws.choice([attempt.pid, *children]), signal.SIGKILL)
        time.sleep(draws.uniform(0, 0.5))
    os.killpg(attempt.pid, signal.SIGKILL)


def outcome(folder: Path) -> str:
    """Return a digest of all that must be the same: weights, log and result without times."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    texts = [json.dumps(untimed(row)) for row in (*rows, json.loads((folder / "result.json").read_text()))]
    digest = sha256((folder / "student.safetensors").read_bytes())
    digest.update("\n".join(texts).encode())
    return digest.hexdigest()


def untimed(values: dict[str, object]) -> dict[str, object]:
    """Leave out what the clock says."""
    return {key: value for key, value in values.items() if key not in TIMES}


def killed_run(
    start: Callable[[], Attempt], folder: Path, seconds: float, most: int, draws: random.Random, several: bool
) -> tuple[int, str]:
    """Start and kill a run up to `most` times, then let it end. -> the kills that met it, and its outcome."""
    kills = 0
    while True:
        attempt = start()
        if kills < most:
            time.sleep(draws.uniform(0, seconds))
            with suppress(ProcessLookupError, FileNotFoundError):  # it had ended
                kill(attempt, draws, several)
        status = attempt.wait()
        if status == 0:
            return kills, outcome(folder)
        if status > 0 and not several:
            return kills, f"lost: exit status {status}"
        if several and kills >= most:
            return kills, f"lost: exit status {status}, {folder.with_suffix('.log')}"
        kills += 1


def measured(args: argparse.Namespace, text: str, root: Path) -> Iterator[dict[str, object]]:
    """Yield a record for each run of a method that was killed, until its share of kills is reached."""
    config = RunConfig(text, limit=200, epochs=2, batch_size=32, accelerator="cpu", devices=args.devices)
    config, several = replace(config, strategy=args.strategy), args.devices > 1
    splits, begin = load("digits", limit=200), commanded if several else forked
    begun = time.monotonic()
    status = begin(config, root / "whole", splits).wait()
    seconds, want = time.monotonic() - begun, outcome(root / "whole") if status == 0 else f"exit status {status}"
    number = 0
    while True:
        draws, folder = random.Random(f"{text} {number} {args.seed}"), root / str(number)
        kills, found = killed_run(
            lambda folder=folder: begin(config, folder, splits), folder, seconds, args.per_run, draws, several
        )
        yield {"method": text, "kills": kills, "same": found == want, "outcome": found, "seconds": round(seconds, 2)}
        shutil.rmtree(folder, ignore_errors=True)
        number += 1


def main() -> None:
    """Kill until each method has its share; print the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--per-run", type=int, default=5)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("kills.jsonl"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.touch()
    share = -(-args.kills // len(args.methods))
    for text in args.methods:
        records = [json.loads(line) for line in args.out.read_text().splitlines()]
        done = sum(each["kills"] for each in records if each["method"] == text)
        with tempfile.TemporaryDirectory() as root:
            for record in measured(args, text, Path(root)) if done < share else ():
                with args.out.open("a") as file:
                    file.write(json.dumps(record) + "\n")
                done += int(str(record["kills"]))
                if done >= share:
                    break
        print(f"{text}: {done} kills", flush=True)
    records = [json.loads(line) for line in args.out.read_text().splitlines()]
    wrong = [each for each in records if not each["same"]]
    print(f"{sum(each['kills'] for each in records)} kills of {len(records)} runs; {len(wrong)} lost or different")
    print(*(json.dumps(each) for each in wrong), sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
