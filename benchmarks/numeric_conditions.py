"""Check that every method stays finite, or says so, under conditions that overflow.

    python benchmarks/numeric_conditions.py                      # every method, 20 conditions, resnet8 at 16 pixels
    python benchmarks/numeric_conditions.py --methods "drg()" "pcl()" --conditions one_row sure_16

Makes three steps of training as a run makes them. A cell is "ok" (all weights, gradients, statistics and memories are
finite, and so are the losses), "refused" (a `UserError` before the first step), "told" (the guard of a run would end it
with a `UserError`), "SILENT" (a number is not finite and nothing tells) or "RAW" (any other exception). Exits with 1
where a cell is SILENT or RAW, and prints the reason of each cell that is not ok.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path

import torch
from torch import Tensor, nn

from selfdistill import data
from selfdistill.data import Images, Splits
from selfdistill.data.batch import Batch
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.methods import REGISTRY, parse_method
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import resolve_networks
from selfdistill.train.run import make_trainer
from selfdistill.train.trainer import Trainer

STEPS = 3
SURE = 1e4  # the size of logits, about


@dataclass(frozen=True)
class Condition:
    """What differs from an ordinary run."""

    rows: int = 8
    classes: int = 10
    images: Callable[[Tensor], Tensor] = lambda images: images
    one_class: bool = False
    sure: bool = False
    weight: float | None = None  # of each term beside the task
    precision: str = "32"


CONDITIONS = {
    "ordinary": Condition(),
    "one_row": Condition(rows=1),
    "two_rows": Condition(rows=2),
    "two_classes": Condition(classes=2),
    "one_label": Condition(one_class=True),
    "images_0": Condition(images=torch.zeros_like),
    "constant": Condition(images=torch.ones_like),
    "equal_rows": Condition(images=lambda images: images[:1].expand_as(images)),
    "images_1e4": Condition(images=lambda images: images * 1e4),
    "images_1e8": Condition(images=lambda images: images * 1e8),
    "images_1e-20": Condition(images=lambda images: images * 1e-20),
    "sure": Condition(sure=True),
    "sure_1e4": Condition(sure=True, images=lambda images: images * 1e4),
    "weight_1e9": Condition(weight=1e9),
    "weight_0": Condition(weight=0.0),
    "bf16": Condition(precision="bf16"),
    "16": Condition(precision="16"),
    "sure_bf16": Condition(sure=True, precision="bf16"),
    "sure_16": Condition(sure=True, precision="16"),
    "images_1e4_16": Condition(precision="16", images=lambda images: images * 1e4),
}


def verdict(method: str, condition: Condition, model: str, size: int) -> tuple[str, str]:
    """The outcome of three steps, and its reason."""
    try:
        trainer = make(method, condition, model, size)
    except UserError as error:
        return "refused", str(error)
    except Exception as error:
        return "RAW", f"{type(error).__name__} before the first step: {error}"
    try:
        losses = train(trainer, condition)
        trainer._require_finite()
        if not trainer.train_step.weights_finite():
            return "told", "a weight or a running statistic is not finite"
    except UserError as error:
        return "told", str(error)
    except Exception as error:
        return "RAW", f"{type(error).__name__}: {error}"
    wrong = [name for name, values in numbers(trainer, losses) if not values.isfinite().all()]
    return ("SILENT", ", ".join(wrong[:3])) if wrong else ("ok", "")


def make(text: str, condition: Condition, model: str, size: int) -> Trainer:
    method = weighted(parse_method(text), condition.weight)
    splits = images_of(condition, size)
    config = RunConfig(
        text, "fake", model, epochs=4, batch_size=condition.rows, precision=condition.precision, accelerator="cpu"
    )
    networks = resolve_networks(parse_method(text), config, splits)
    trainer = make_trainer(config, method, splits, networks, Path(tempfile.gettempdir()), Listener())
    if condition.sure:
        make_sure(trainer.distiller, condition.classes)
    return trainer


def weighted(method: Method, weight: float | None) -> Method:
    if weight is not None:
        for term in method.terms.values():
            term.weight = weight
    return method


def images_of(condition: Condition, size: int) -> Splits:
    splits = data.load(f"fake:classes={condition.classes},size={size},train=64,test=8")
    if not condition.one_class:
        return splits
    return replace(splits, train=Images(splits.train.images, torch.zeros_like(splits.train.labels)))


@torch.no_grad()
def make_sure(module: nn.Module, classes: int) -> None:
    """Scale each classifier, the student's, the teachers' and the heads', so that logits are about ±10,000."""
    for each in module.modules():
        if isinstance(each, nn.Linear) and each.out_features == classes:
            each.weight *= SURE / (8 * each.weight.std())


def train(trainer: Trainer, condition: Condition) -> list[dict[str, Tensor]]:
    step = trainer.train_step
    step.run.train()
    step.start_epoch()
    losses = []
    for number, parts in enumerate(islice(endless(trainer), STEPS)):
        parts = [changed(part, condition) for part in parts]
        made = step.step(parts, trainer.progress(number), trainer.rate(number))
        trainer.epoch_stats.add(*made, step.all_finite)
        losses.append(made[0])
    return losses


def endless(trainer: Trainer) -> Iterator[tuple[Batch, ...]]:
    return chain.from_iterable(trainer.batches(epoch) for epoch in count())


def changed(batch: Batch, condition: Condition) -> Batch:
    extra = {name: condition.images(each) if each.dim() == 4 else each for name, each in batch.extra.items()}
    return batch._replace(inputs=condition.images(batch.inputs), extra=extra)


def numbers(trainer: Trainer, losses: list[dict[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Everything that a step makes, with its name."""
    for number, each in enumerate(losses):
        yield from ((f"loss {name} of step {number + 1}", value) for name, value in each.items())
    for name, value in trainer.distiller.named_parameters():
        yield name, value
        if value.grad is not None and trainer.config.precision != "16":  # whose skipped steps leave infinite ones
            yield f"gradient of {name}", value.grad
    yield from trainer.distiller.named_buffers()
    for slot in trainer.train_step.memory.slots:
        yield from leaves("memory", slot)


def leaves(name: str, tree: object) -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, Tensor):
        yield name, tree.float()
    elif isinstance(tree, dict):
        for key, each in tree.items():
            yield from leaves(f"{name} {key}", each)
    elif isinstance(tree, (tuple, list)):
        for each in tree:
            yield from leaves(name, each)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=[f"{name}()" for name in REGISTRY])
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--size", type=int, default=16)
    options = parser.parse_args()
    cells = [(method, name) for method in options.methods for name in options.conditions]
    counts: dict[str, int] = {}
    for method, name in cells:
        outcome, reason = verdict(method, CONDITIONS[name], options.model, options.size)
        counts[outcome] = counts.get(outcome, 0) + 1
        if reason:
            print(f"{outcome}\t{method}\t{name}\t{reason[:220]}", flush=True)
    print(", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())))
    return int("SILENT" in counts or "RAW" in counts)


if __name__ == "__main__":
    sys.exit(main())
