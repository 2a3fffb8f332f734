"""Where a method's teacher comes from: a finished run, or a model trained first with plain cross-entropy."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill import models
from selfdistill.data import Augmentation, Splits
from selfdistill.errors import UserError
from selfdistill.files import read_json
from selfdistill.method.networks import Teacher
from selfdistill.models import create
from selfdistill.train.config import RunConfig

WEIGHTS, RESULT, RUN = "student.safetensors", "result.json", "run.json"
BEST = "best.safetensors"  # the student after the epoch that did best on the images held out


def is_run(folder: str | Path) -> bool:
    """Whether a folder holds a run."""
    return (Path(folder) / RUN).is_file()


def load_run(folder: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The student of a finished run, and what run.json says. Raises `UserError`."""
    folder = Path(folder)
    if not is_run(folder):
        raise UserError(f"'{folder}' holds no run (no {RUN}); name the folder that a train command wrote")
    if not (folder / WEIGHTS).is_file():
        raise UserError(
            f"the run in '{folder}' is not finished (no {WEIGHTS}); the train command that began it goes on with it"
        )
    facts = read_json(folder / RUN)
    config = RunConfig.from_json(facts["config"])
    model = create(config.model, facts["classes"], size=facts["size"], weights=folder / WEIGHTS)
    return model, facts


def plan(role: Teacher, config: RunConfig) -> RunConfig | Path:
    """What a teacher's name means: a run's folder, or the configuration to train it with first.

    None is the student's own architecture. Raises `UserError` for a name that is neither.
    """
    reference, method = role.name, role.taught_by
    if reference is None:
        return replace(config, method=method, generation=config.generation + 1)
    if is_run(reference):
        return Path(reference)
    if not _is_model(reference):
        raise UserError(
            f"the teacher {reference!r} is neither the folder of a run nor a model; name a folder such as "
            f"runs/x, or a model to be trained first, such as {config.model!r}"
        )
    if reference == config.model:
        return replace(config, method=method, generation=config.generation + 1)
    return replace(config, method=method, model=reference, pretrained=False, weights=None, classifier=None)


def _is_model(name: str) -> bool:
    return name in models.names() or name.startswith(("wrn-", "timm/", "torchvision/"))


def folder_for(config: RunConfig, teachers: Path) -> Path:
    """Where the teacher of this configuration lies once it is trained."""
    text = json.dumps(config.to_json(), sort_keys=True)
    return teachers / f"{config.model.replace('/', '-')}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def require_classes(facts: Mapping[str, Any], splits: Splits, folder: Path) -> None:
    """Raise `UserError` for a teacher that tells another number of classes apart than the data has."""
    if facts["classes"] != len(splits.classes):
        raise UserError(
            f"the network in '{folder}' tells {facts['classes']} classes apart, but {splits.name} has "
            f"{len(splits.classes)}; take one trained on the same data"
        )


def adapted(model: nn.Module, facts: Mapping[str, Any], augment: Augmentation, size: int) -> nn.Module:
    """The teacher as it can be shown the student's images: of its own size, normalised as it was trained."""
    mean, std = tuple(facts["mean"]), tuple(facts["std"])
    if facts["size"] == size and mean == augment.mean and std == augment.std:
        return model
    return Adapted(model, facts["size"], (augment.mean, augment.std), (mean, std))


class Adapted(nn.Module):
    """A network that is shown images of another size or normalisation than it was trained on.

    `shown` and `wanted` are each the mean and the deviation by channel, of pixels from 0 to 1.
    """

    def __init__(
        self, network: nn.Module, size: int, shown: tuple[Sequence, Sequence], wanted: tuple[Sequence, Sequence]
    ):
        super().__init__()
        (mean, std), (wanted_mean, wanted_std) = (torch.tensor(each)[:, :, None, None] for each in (shown, wanted))
        self.network, self.size = network, size
        self.register_buffer("scale", std / wanted_std, persistent=False)
        self.register_buffer("shift", (mean - wanted_mean) / wanted_std, persistent=False)

    scale: Tensor
    shift: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Give the network's answer to the images as it knows them. [B, 3, H, W] -> [B, C]."""
        if images.shape[-1] != self.size:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return self.network(images * self.scale + self.shift)
