"""Ways to do the same training, side by side: each makes an epoch in every round."""

import argparse
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from time import perf_counter
from typing import NamedTuple

import torch

from selfdistill.bench.candidate import Candidate
from selfdistill.cli.console import aligned
from selfdistill.data import Splits
from selfdistill.train.config import RunConfig
from selfdistill.train.run import load_data


class Side(NamedTuple):
    """One way to train; `epoch` makes one and gives the number of images seen."""

    label: str
    epoch: Callable[[], int]


def options(about: str) -> argparse.Namespace:
    """What every benchmark can be told."""
    read = argparse.ArgumentParser(description=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    read.add_argument("--data", default="fake:classes=100,train=1280,test=100", help="as of the selfdistill command")
    read.add_argument("--limit", type=int, default=None, help="training images to keep")
    read.add_argument("--models", nargs="+", default=["resnet20", "resnet18"])
    read.add_argument("--batch-size", type=int, default=128)
    read.add_argument("--batches", type=int, default=10, help="of an epoch; all are of the same images for every side")
    read.add_argument("--rounds", type=int, default=7)
    read.add_argument("--threads", type=int, default=None, help="CPU threads; default: torch's own choice")
    read.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="of the DataLoaders")
    asked = read.parse_args()
    torch.set_num_threads(asked.threads or torch.get_num_threads())
    return asked


def configured(asked: argparse.Namespace, model: str) -> tuple[RunConfig, Splits]:
    """The configuration of a model's runs, and the images of one epoch."""
    config = RunConfig("ce()", data=asked.data, limit=asked.limit, model=model, batch_size=asked.batch_size)
    splits = load_data(config)
    rows = torch.arange(min(asked.batches * asked.batch_size, len(splits.train)))
    return config, Splits(splits.train.rows(rows), None, splits.test, splits.classes, splits.name, splits.flip)


def ours(label: str, config: RunConfig, splits: Splits) -> Side:
    """Epochs of this library's own trainer."""
    made = Candidate(label, config, splits)
    batches = len(splits.train) // config.batch_size

    def epoch() -> int:
        for _ in range(batches):
            made.step()
        return batches * config.batch_size

    return Side(label, epoch)


def race(sides: Sequence[Side], rounds: int) -> list[list[float]]:
    """Images a second of each side in each round; one round before does not count."""
    speeds: list[list[float]] = [[] for _ in sides]
    for number in range(rounds + 1):
        for k in [(number + each) % len(sides) for each in range(len(sides))]:
            start = perf_counter()
            images = sides[k].epoch()
            if number > 0:
                speeds[k].append(images / (perf_counter() - start))
    return speeds


def table(sides: Sequence[Side], speeds: Sequence[Sequence[float]]) -> str:
    """Medians and quartiles; ratios are to the first side in the same round."""
    lines = [("", "images/s", "quartiles", "ratio", "its quartiles")]
    for side, own in zip(sides, speeds, strict=True):
        low, middle, high = quantiles([a / b for a, b in zip(own, speeds[0], strict=True)], method="inclusive")
        slow, _, fast = quantiles(own, method="inclusive")
        spread = f"[{slow:.0f}, {fast:.0f}]", f"{middle:.2f}x", f"[{low:.2f}, {high:.2f}]"
        lines.append((side.label, f"{median(own):.0f}", *spread))
    return aligned(lines)


def show(title: str, sides: Sequence[Side], rounds: int) -> None:
    """Race, and print."""
    speeds = race(sides, rounds)
    threads = f"{torch.get_num_threads()} thread(s), torch {torch.__version__}"
    print(f"{title}, {threads}, {rounds} rounds\n{table(sides, speeds)}\n", flush=True)
