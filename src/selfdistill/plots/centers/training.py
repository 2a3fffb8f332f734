"""Train a planar network with a method and record its feature plane at some epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from selfdistill.data import Images, default_augmentation, load, loader
from selfdistill.errors import UserError
from selfdistill.loop.teach import DistillationStep, teach
from selfdistill.methods import parse_method
from selfdistill.plots.centers.gradients import gradients, require_closed_form
from selfdistill.plots.centers.network import PlanarNetwork
from selfdistill.rng import fork_rng_named
from selfdistill.terms import Memory
from selfdistill.terms.memory import as_pair, as_tensor

METHODS = ("ce()", "cs_kd()", "csd()")
EPOCHS = (2, 6, 20)
ROWS, RATE, MOMENTUM, DECAY = 64, 0.05, 0.9, 5e-4  # batch size and SGD settings


@dataclass(frozen=True)
class Snapshot:
    """The feature plane of a method after an epoch, in eval mode and float64."""

    method: str
    epoch: int
    features: Tensor  # [N, 2]
    labels: Tensor  # [N]
    directions: Tensor  # [C, 2] the classifier's weight
    centers: Tensor  # [C, 2] stored by the method, or else the class means
    kept: bool  # the centers are stored by the method
    task_gradient: Tensor  # [N, 2]
    distillation_gradient: Tensor  # [N, 2]

    @property
    def arrows(self) -> Tensor:
        """Negative gradient of each image's loss. -> [N, 2]."""
        return -(self.task_gradient + self.distillation_gradient)

    @property
    def within_class_variance(self) -> float:
        """Variance within classes, as a share of the total variance."""
        means = class_means(self.features, self.labels, len(self.directions))
        inside = (self.features - means[self.labels]).square().sum()
        return float(inside / (self.features - self.features.mean(dim=0)).square().sum())


def snapshots(
    methods: Sequence[str] = METHODS, *, epochs: Sequence[int] = EPOCHS, classes: int = 5, seed: int = 0
) -> dict[str, list[Snapshot]]:
    """Train a planar network on the first classes of digits with each method, and record it after `epochs`.

    All networks start from the same weights and see the same batches. An epoch takes about a second. Raises
    `UserError` if a method's gradient has no closed form, an epoch is below 1, or `classes` is not in 2 to 10.
    """
    if not epochs or min(epochs) < 1 or not 2 <= classes <= 10:
        raise UserError(
            f"epochs {list(epochs)} and {classes} classes cannot be drawn; use epochs from 1 and 2 to 10 classes"
        )
    for text in methods:
        require_closed_form(parse_method(text))
    images, labels = _digits(classes)
    return {text: _trained(text, images, labels, sorted(epochs), seed) for text in methods}


def class_means(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Compute the mean feature of each class. [N, D], [N] -> [C, D]."""
    return torch.stack([features[labels == label].mean(dim=0) for label in range(classes)])


def _digits(classes: int) -> tuple[Tensor, Tensor]:
    """Load normalized training images [N, 3, 8, 8] of the first classes, and their labels."""
    splits = load("digits")
    few: Images = splits.train.rows((splits.train.labels < classes).nonzero().flatten())
    return default_augmentation(splits).normalize(few.images[:]), few.labels


def _trained(text: str, images: Tensor, labels: Tensor, epochs: Sequence[int], seed: int) -> list[Snapshot]:
    with fork_rng_named(f"{seed}:student"):
        network = PlanarNetwork(int(labels.max()) + 1)
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
            kept.append(_snapshot(taught, network, images, labels, epoch))
    taught.close()
    return kept


@torch.no_grad()
def _snapshot(taught: DistillationStep, network: PlanarNetwork, images: Tensor, labels: Tensor, epoch: int) -> Snapshot:
    """Record the feature plane between two steps."""
    features = network.eval().embed(images).double()
    network.train()
    weight, bias = (each.detach().double() for each in (network.classify.weight, network.classify.bias))
    memories = {name: _double(each) for name, each in taught.memories[0].items()}
    task, distillation = gradients(taught.method, features, labels, weight, bias, memories)
    found = _centers(memories)
    centers = class_means(features, labels, len(weight)) if found is None else found
    return Snapshot(taught.method.text, epoch, features, labels, weight, centers, found is not None, task, distillation)


def _centers(memories: Mapping[str, Memory]) -> Tensor | None:
    return as_pair(memories["center"])[0] if "center" in memories else None


def _double(memory: Memory) -> Memory:
    return tuple(as_tensor(each).double() for each in memory) if isinstance(memory, tuple) else memory
