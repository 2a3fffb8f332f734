"""Time and memory of a step of segmentation: a loop written by hand, and methods in one's own loop beside it."""

import argparse
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from time import process_time
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import selfdistill as sd
from selfdistill.cli.console import aligned
from selfdistill.features.logits import logits_of
from selfdistill.metrics.cost import peak_bytes
from selfdistill.models import create

CLASSES, IGNORED = 21, 255
PLAIN = "plain loop"


class Side(NamedTuple):
    """One way to train; `step` makes one step."""

    label: str
    step: Callable[[], None]


def options() -> argparse.Namespace:
    """What the benchmark can be told."""
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    read.add_argument("--models", nargs="+", default=["unet-16", "transformers/segformer-b0"])
    read.add_argument("--methods", nargs="+", default=["ce()", "dsr()", "kd()", "csd()", "sad()"])
    read.add_argument("--batch-size", type=int, default=4)
    read.add_argument("--size", type=int, default=96, help="side of the images")
    read.add_argument("--rounds", type=int, default=15)
    read.add_argument("--steps", type=int, default=2, help="of each side in a round")
    return read.parse_args()


def batch(asked: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Images and labels of pixels, a tenth of them without one."""
    shape = asked.batch_size, asked.size, asked.size
    labels = torch.randint(0, CLASSES, shape)
    labels[torch.rand(shape) < 0.1] = IGNORED
    return torch.randn(asked.batch_size, 3, asked.size, asked.size), labels


def network(name: str, asked: argparse.Namespace, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return create(name, CLASSES, size=asked.size, task="segment").train()


def plain(label: str, name: str, asked: argparse.Namespace) -> Side:
    """Forward pass, cross-entropy of the resized logits, backward pass and SGD."""
    model, (images, labels) = network(name, asked), batch(asked)

    def loss() -> Tensor:
        logits = logits_of(model(images))
        if logits.shape[2:] != labels.shape[1:]:
            logits = F.interpolate(logits, labels.shape[1:], mode="bilinear", align_corners=False)
        return F.cross_entropy(logits, labels, ignore_index=IGNORED)

    return Side(label, descent(loss, model))


def taught(text: str, name: str, asked: argparse.Namespace) -> Side:
    """The same by `sd.teach`; teachers are untrained, which takes as long."""
    method, (images, labels) = sd.methods.parse_method(text), batch(asked)
    networks = {role: network(name, asked, seed=1) for role in method.teachers}
    time = {"epochs": 10, "steps_per_epoch": 100}
    teach = sd.teach(network(name, asked), method, images, networks=networks, ignore_index=IGNORED, **time)
    return Side(text, descent(lambda: teach(images, labels), teach))


def descent(loss: Callable[[], Tensor], trained: nn.Module) -> Callable[[], None]:
    parameters = [each for each in trained.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def rounds_of(sides: Sequence[Side], asked: argparse.Namespace) -> list[list[float]]:
    """CPU seconds of a step of each side in each round; two rounds before do not count."""
    seconds: list[list[float]] = [[] for _ in sides]
    for number in range(-2, asked.rounds):
        for k in [(number + each) % len(sides) for each in range(len(sides))]:
            start = process_time()
            for _ in range(asked.steps):
                sides[k].step()
            if number >= 0:
                seconds[k].append((process_time() - start) / asked.steps)
    return seconds


def table(sides: Sequence[Side], seconds: Sequence[Sequence[float]]) -> str:
    """Medians and quartiles; times are ratios to the first side of the same round."""
    first = peak_bytes(sides[0].step)
    lines = [("", "CPU ms", "time", "its quartiles", "memory", "MB")]
    for side, own in zip(sides, seconds, strict=True):
        low, middle, high = quantiles([a / b for a, b in zip(own, seconds[0], strict=True)], method="inclusive")
        peak = peak_bytes(side.step)
        spread = f"{middle:.2f}x", f"[{low:.2f}, {high:.2f}]"
        lines.append((side.label, f"{1000 * median(own):.0f}", *spread, f"{peak / first:.2f}x", f"{peak / 1e6:.0f}"))
    return aligned(lines)


def main() -> None:
    asked = options()
    torch.set_num_threads(1)  # CPU time of one thread is little disturbed by other work
    for name in asked.models:
        sides = [plain(PLAIN, name, asked), plain(f"{PLAIN} again", name, asked)]
        sides += [taught(text, name, asked) for text in asked.methods]
        shape = f"{asked.batch_size}x3x{asked.size}x{asked.size}"
        print(f"{name}, {shape}, one thread, torch {torch.__version__}, {asked.rounds} rounds")
        print(f"{table(sides, rounds_of(sides, asked))}\n", flush=True)


if __name__ == "__main__":
    main()
