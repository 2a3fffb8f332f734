"""One of the processes that torchrun starts: runs of methods whose losses are means over rows, on a group-norm net."""

import json
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from selfdistill import data, distributed
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY, parse_method
from selfdistill.step import Distiller
from selfdistill.train import run as runs
from selfdistill.train.preflight import first_step
from tests.helpers.networks import Convolutional, network
from tests.helpers.small_runs import small, trainer

DATA = "fake:classes=5,size=16"
SHAPES = "size=16,train=60,test=10"
THAWED = {"freeze": "layer1, layer2", "unfreeze": 1, "epochs": 2, "sam": 0.05, "accumulate": 2}
TASKS = {"segment": "ce()", "tag": "label_smoothing()"}  # means over as many rows on each rank


def teachers(text):
    return {role: network("group", seed=3) for role in parse_method(text).teachers}


def alike(text):
    """Whether ranks see what one process sees: nothing is drawn, normalised or compared within a rank's rows."""
    made = parse_method(text)
    if made.mixing or made.erasing or {"negatives", "order"} & made.needs.keys():
        return False
    distiller = Distiller(network("group"), made, torch.zeros(2, 3, 16, 16), networks=teachers(text))
    normed = any(isinstance(each, _BatchNorm) for each in distiller.modules())
    terms = distiller.terms.values()
    return not normed and all(term.reduction == "mean" and not term.uses_random for term in terms)


EXPRESSIONS = [text for text in (*(f"{name}()" for name in REGISTRY), "dsr() + csd()", "ema() + dot()") if alike(text)]


def of_the_run(text):
    """Whether a memory of the whole run is moved by a batch's parts one after the other."""
    return any(term.memory_scope == "run" and not term.uses_index for term in parse_method(text).all_terms.values())


def plain():
    return network("group", seed=1)


def train(text, folder, make=plain, **changes):
    """A run of six steps on a student without batch norm.

    Clipped: one step of a method with a large weight would move the weights by their own length, and rounding with it.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "create_for", lambda *args, **kwargs: make())
        config = small(
            text, **{"epochs": 1, "lr": 0.02, "clip_norm": 1.0, "limit": 100, "batch_size": 16, "data": DATA} | changes
        )
        return runs.run(config, folder, splits=data.load(DATA, limit=100), networks=teachers(text))


def train_task(task, folder, **changes):
    """A run of six steps with pixels or tags, on a student without batch norm."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "create_for", lambda *args, **kwargs: of_pixels() if task == "segment" else of_tags())
        words = {"epochs": 1, "lr": 0.02, "clip_norm": 1.0, "limit": 48, "batch_size": 8, "size": None}
        return runs.run(small(TASKS[task], **words | {"data": f"shapes:{task},{SHAPES}"} | changes), folder)


def of_pixels():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 8, 1))


def of_tags():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7)
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), *head)


def shares(strategy, folder):
    """What of weights, gradients and momenta lies here after a step of a student with heads, by their numbers."""
    made = trainer(small("dks()", strategy=strategy, devices=2), data.load("digits", limit=200), folder)
    made.train_step.run.train()
    first_step(made)
    weights, optimizer = made.train_step.weights, made.train_step.optimizer
    trained = [each for each in made.distiller.parameters() if each.requires_grad]
    momenta = [kept["momentum_buffer"] for kept in optimizer.state.values()]
    gradients = [each.grad for group in optimizer.param_groups for each in group["params"]]
    counts = {"weights": weights.local_shards(trained), "gradients": gradients, "momenta": momenta}
    return {"all": numbers(trained), **{name: numbers(each) for name, each in counts.items()}}


def numbers(tensors):
    return sum(each.numel() for each in tensors)


class Scaled(Convolutional):
    """A network with a number for a parameter, which cannot be cut, and a vector of length 1: one rank has nothing."""

    def __init__(self):
        super().__init__("group")
        self.scale, self.shift = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.zeros(1))

    def forward(self, images):
        return self.scale * super().forward(images + self.shift)


def scaled():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Scaled()


class Peeking(Convolutional):
    """A network that reads a weight of one of its blocks from outside."""

    def forward(self, images):
        return super().forward(images) + 0 * self.layer3.conv.weight.sum()


def refused(folder, strategy):
    """What a run of such a network says."""
    with pytest.raises(UserError) as caught:
        train("ce()", folder, make=partial(Peeking, "group"), strategy=strategy)
    return str(caught.value)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, strategy = sys.argv[1:]
    for number, text in enumerate(EXPRESSIONS):
        train(text, Path(folder) / str(number), strategy=strategy)
    for task in TASKS:
        train_task(task, Path(folder) / task, strategy=strategy)
    train("ema() + dot()", Path(folder) / "scaled", make=scaled, strategy=strategy)
    train("at()", Path(folder) / "frozen", freeze="layer1, layer2", strategy=strategy)
    if strategy == "ddp":
        train("at()", Path(folder) / "sam", sam=0.05, strategy=strategy)
        train("at()", Path(folder) / "thawed", **THAWED, strategy=strategy)
    if strategy == "fsdp":
        train("at()", Path(folder) / "compiled", compile=True, strategy=strategy)
        found = {
            "shares": shares(strategy, Path(folder) / "shares"),
            "refused": refused(Path(folder) / "refused", strategy),
        }
        (Path(folder) / f"rank{distributed.rank()}.json").write_text(json.dumps(found))
