"""Train a planar network by a method, and keep what the plane looked like at some epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from selfdistill.data import Images, default_augmentation, loader
from selfdistill.data.load import load
from selfdistill.errors import UserError
from selfdistill.loop.teach import DistillationStep, teach
from selfdistill.methods import parse_method
from selfdistill.plots.centers.gradients import gradients, require_closed
from selfdistill.plots.centers.network import Planar
from selfdistill.rng import fork_rng_named
from selfdistill.terms import Memory

METHODS = ("ce()", "cs_kd()", "csd()")
EPOCHS = (2, 6, 20)
ROWS, RATE, MOMENTUM, DECAY = 64, 0.05, 0.9, 5e-4  # images a step, and SGD's settings


@dataclass(frozen=True)
class Moment:
    """The plane of a method after an epoch, in eval mode and float64."""

    method: str
    epoch: int
    features: Tensor  # [N, 2]
    labels: Tensor  # [N]
    directions: Tensor  # [C, 2] the classifier's weight
    centers: Tensor  # [C, 2] those that the method keeps, or else the classes' means
    kept: bool  # whether the method keeps them
    learn: Tensor  # [N, 2] gradient of what learns the labels
    mimic: Tensor  # [N, 2] gradient of what imitates

    @property
    def arrows(self) -> Tensor:
        """Where each image is drawn: minus the gradient of its loss. -> [N, 2]."""
        return -(self.learn + self.mimic)

    @property
    def within(self) -> float:
        """Variance within classes, as a share of the whole variance."""
        means = class_means(self.features, self.labels, len(self.directions))
        inside = (self.features - means[self.labels]).square().sum()
        return float(inside / (self.features - self.features.mean(dim=0)).square().sum())


def moments(
    methods: Sequence[str] = METHODS, *, epochs: Sequence[int] = EPOCHS, classes: int = 5, seed: int = 0
) -> dict[str, list[Moment]]:
    """Train a planar network on the first classes of digits by each method, and look after each of these epochs.

    All start from the same weights and see the same batches. Takes a second or so for an epoch of a method's. Raises
    `UserError` for a method whose gradient has no closed form, and for epochs below 1 or classes that are not there.
    """
    if not epochs or min(epochs) < 1 or not 2 <= classes <= 10:
        raise UserError(f"epochs from 1 on and 2 to 10 classes can be shown, but not {list(epochs)} and {classes}")
    for text in methods:
        require_closed(parse_method(text))
    images, labels = _digits(classes)
    return {text: _trained(text, images, labels, sorted(epochs), seed) for text in methods}


def class_means(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The mean feature of each class. [N, D], [N] -> [C, D]."""
    return torch.stack([features[labels == label].mean(dim=0) for label in range(classes)])


def _digits(classes: int) -> tuple[Tensor, Tensor]:
    """Normalised training images [N, 3, 8, 8] of the first classes, and their labels."""
    splits = load("digits")
    few: Images = splits.train.rows((splits.train.labels < classes).nonzero().flatten())
    return default_augmentation(splits).normalize(few.images[:]), few.labels


def _trained(text: str, images: Tensor, labels: Tensor, epochs: Sequence[int], seed: int) -> list[Moment]:
    with fork_rng_named(f"{seed}:student"):
        network = Planar(int(labels.max()) + 1)
    taught = teach(network, text, images[:ROWS], seed=seed, dataset_size=len(images))
    steps = loader(TensorDataset(images, labels), taught, ROWS, seed=seed)
    optimizer = torch.optim.SGD(taught.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    kept = []
    for epoch in range(1, epochs[-1] + 1):
        for batch in steps:
            optimizer.zero_grad()
            taught(batch).backward()
            optimizer.step()
        if epoch in epochs:
            kept.append(_look(taught, network, images, labels, epoch))
    taught.close()
    return kept


@torch.no_grad()
def _look(taught: DistillationStep, network: Planar, images: Tensor, labels: Tensor, epoch: int) -> Moment:
    """The plane as it is between two steps."""
    features = network.eval().embed(images).double()
    network.train()
    weight, bias = (each.detach().double() for each in (network.classify.weight, network.classify.bias))
    memories = {name: _double(each) for name, each in taught.get_extra_state()["memories"][0].items()}
    learn, mimic = gradients(taught.method, features, labels, weight, bias, memories)
    found = _centers(memories)
    centers = class_means(features, labels, len(weight)) if found is None else found
    return Moment(taught.method.text, epoch, features, labels, weight, centers, found is not None, learn, mimic)


def _centers(memories: Mapping[str, Memory]) -> Tensor | None:
    return memories["center"][0] if "center" in memories else None


def _double(memory: Memory) -> Memory:
    return tuple(each.double() for each in memory) if isinstance(memory, tuple) else memory
