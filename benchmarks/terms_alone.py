"""Terms alone of each method, beside a step of ce(), in one run.

    python benchmarks/terms_alone.py --rounds 20
    python benchmarks/terms_alone.py --methods "aca()" "mlkd()" --rounds 50

A round makes one step of ce(), and computes the terms of each method once: its losses and heads, forward and backward,
on recorded outputs of the student; the order rotates. Passes of networks are not in it. `arithmetic` counts the
floating-point operations of the terms as `terms` counts their time: 1 + those of the terms, in steps of ce(). The last
column is the first divided by the second; elementwise operations are no arithmetic here, so it is above 1.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from selfdistill.bench.candidate import Candidate
from selfdistill.bench.rounds import BASELINE, Quartiles
from selfdistill.cli.console import aligned
from selfdistill.data.kinds import AnySplits
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY
from selfdistill.metrics.cost import flops
from selfdistill.train.config import RunConfig
from selfdistill.train.run import load_data

HEADER = ("method", "terms alone", "its quartiles", "arithmetic", "time / arithmetic")


class Terms(NamedTuple):
    """Cost of a method's terms, in steps of cross-entropy; 1 is no cost."""

    method: str
    time: Quartiles
    arithmetic: float

    @property
    def ratio(self) -> float:
        """Time over arithmetic."""
        return self.time.middle / self.arithmetic


def candidates(methods: Sequence[str], base: RunConfig, splits: AnySplits) -> list[Candidate]:
    """Make the steps of each method; those that do not fit are told and left out."""
    made = []
    for text in methods:
        try:
            made.append(Candidate(text, replace(base, method=text), splits))
        except UserError as error:
            print(f"left out: {text}: {error}", flush=True)
    return made


def measure(methods: Sequence[str], base: RunConfig, splits: AnySplits, rounds: int) -> list[Terms]:
    """Time the terms of all methods and a step of cross-entropy in each round."""
    baseline, others = Candidate(BASELINE, replace(base, method=BASELINE), splits), candidates(methods, base, splits)
    seconds: list[list[float]] = [[] for _ in others]
    steps: list[float] = []
    for number in range(rounds):
        steps.append(baseline.step()[0])
        for k in [(number + each) % len(others) for each in range(len(others))]:
            seconds[k].append(others[k].terms_alone())
    whole = flops(baseline.step)
    return [
        Terms(
            each.label,
            Quartiles.of([1 + terms / step for terms, step in zip(own, steps, strict=True)]),
            1 + flops(each.terms_alone) / whole,
        )
        for each, own in zip(others, seconds, strict=True)
    ]


def table(found: Sequence[Terms]) -> str:
    """One row per method."""
    rows = [
        (
            each.method,
            f"{each.time.middle:.4f}x",
            f"[{each.time.low:.4f}, {each.time.high:.4f}]",
            f"{each.arithmetic:.4f}x",
            f"{each.ratio:.3f}",
        )
        for each in found
    ]
    return aligned([HEADER, *rows])


def main(words: Sequence[str] | None = None) -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--methods", nargs="+", default=[f"{name}()" for name in REGISTRY])
    read.add_argument("--rounds", type=int, default=20, help="two or more")
    read.add_argument("--model", default="resnet20")
    read.add_argument("--batch-size", type=int, default=128)
    read.add_argument("--data", default="fake:classes=100,train=2048,test=100")
    read.add_argument("--threads", type=int, default=1)
    asked = read.parse_args(words)
    torch.set_num_threads(asked.threads)
    base = RunConfig(BASELINE, asked.data, asked.model, batch_size=asked.batch_size, accelerator="cpu")
    print(table(measure(asked.methods, base, load_data(base), asked.rounds)))
    print(f"\n{asked.model}, batches of {asked.batch_size}, {asked.rounds} rounds, {asked.threads} thread(s)")


if __name__ == "__main__":
    main()
