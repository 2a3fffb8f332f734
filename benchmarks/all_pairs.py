"""All pairs of methods: each trains two steps, or is refused in words.

    python benchmarks/all_pairs.py --part 1/4
    python benchmarks/all_pairs.py --methods "drg()" "dsr()" "kd()"

The steps are those of a run, on a few random images with a small network and untrained teachers. Prints the pairs that
trained, those that a `UserError` refused, by reason, and the failures: any other exception, and a loss or a weight
that is not finite. The exit status is 1 if there are any.
"""

import argparse
import re
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, combinations, count, islice
from pathlib import Path
from typing import NamedTuple

import torch

from selfdistill.data import Splits, load
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY, parse_method
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import resolve_networks
from selfdistill.train.run import make_trainer
from selfdistill.train.trainer import Trainer

DATA = "fake:classes=4,size=16,train=16,test=8"
STEPS = 2
CALL = re.compile(r"\w+\([^()]*\)( \+ \w+\([^()]*\))*")  # a method, or a sum of methods
ARGUMENTS = re.compile(r"\([^()]*\)")


class Outcome(NamedTuple):
    """What became of a pair: "trained", "refused" or "failed", and why."""

    pair: str
    kind: str
    reason: str = ""


def part_of(pairs: Iterable[tuple[str, str]], part: tuple[int, int]) -> list[tuple[str, str]]:
    """Return every n-th pair, from the k-th."""
    number, parts = part
    return list(pairs)[number - 1 :: parts]


def part(text: str) -> tuple[int, int]:
    """Read `2/4`."""
    if not re.fullmatch(r"\d+/\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no part; write 1/4, the first of four")
    number, parts = map(int, text.split("/"))
    if not 1 <= number <= parts:
        raise argparse.ArgumentTypeError(f"part {number} of {parts} is none; write 1/{parts} to {parts}/{parts}")
    return number, parts


def outcome(one: str, other: str, model: str, splits: Splits) -> Outcome:
    """Train a pair."""
    pair = f"{one} + {other}"
    try:
        wrong = two_steps(trainer_of(pair, model, splits))
    except UserError as error:
        return Outcome(pair, "refused", str(error))
    except Exception as error:
        return Outcome(pair, "failed", f"{type(error).__name__}: {error}")
    return Outcome(pair, "failed", f"not finite: {', '.join(wrong[:3])}") if wrong else Outcome(pair, "trained")


def trainer_of(text: str, model: str, splits: Splits) -> Trainer:
    config = RunConfig(text, DATA, model, epochs=4, batch_size=8, accelerator="cpu")
    method = parse_method(text)
    networks = resolve_networks(method, config, splits)
    return make_trainer(config, method, splits, networks, Path(tempfile.gettempdir()), Listener())


def two_steps(trainer: Trainer) -> list[str]:
    """Make two steps; return the names of losses and weights that are not finite."""
    step, numbers = trainer.train_step, {}
    step.run.train()
    step.start_epoch()
    for number, parts in enumerate(islice(chain.from_iterable(map(trainer.batches, count())), STEPS)):
        losses = step.step(parts, trainer.progress(number), trainer.rate(number))[0]
        numbers |= {f"loss {name} of step {number + 1}": loss for name, loss in losses.items()}
    numbers |= dict(trainer.distiller.named_parameters())
    return [name for name, values in numbers.items() if not torch.as_tensor(values).isfinite().all()]


def reason_in_general(reason: str) -> str:
    """Leave out which methods and arguments a reason names."""
    return ARGUMENTS.sub("(…)", CALL.sub("METHOD", reason))


def summary(found: Sequence[Outcome]) -> list[str]:
    """Counts, reasons with one pair each, and all failures."""
    kinds, reasons = defaultdict(list), defaultdict(list)
    for each in found:
        kinds[each.kind].append(each)
    for each in kinds["refused"]:
        reasons[reason_in_general(each.reason)].append(each)
    counts = [f"{len(kinds[kind])} {kind}" for kind in ("trained", "refused", "failed")]
    lines = [f"{len(found)} pairs: {', '.join(counts)}"]
    for same in sorted(reasons.values(), key=len, reverse=True):
        lines.append(f"refused {len(same)}, such as {same[0].pair}: {same[0].reason}")
    return lines + [f"FAILED {each.pair}: {each.reason}" for each in kinds["failed"]]


def main(words: Sequence[str] | None = None) -> int:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--methods", nargs="+", default=[f"{name}()" for name in REGISTRY])
    read.add_argument("--part", type=part, default=(1, 1), help="1/4: the first of four parts of the pairs")
    read.add_argument("--model", default="resnet8")
    asked = read.parse_args(words)
    splits = load(DATA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of losses that reach no layer, and views that a few images repeat
        found = [outcome(*pair, asked.model, splits) for pair in part_of(combinations(asked.methods, 2), asked.part)]
    print("\n".join(summary(found)))
    return int(any(each.kind == "failed" for each in found))


if __name__ == "__main__":
    sys.exit(main())
