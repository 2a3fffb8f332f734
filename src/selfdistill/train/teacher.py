"""Where a method's teacher comes from: a finished run, or a model trained first with plain cross-entropy."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from selfdistill import models
from selfdistill.data import Splits
from selfdistill.errors import UserError
from selfdistill.models import create
from selfdistill.train.config import RunConfig
from selfdistill.train.files import read_json

WEIGHTS, RESULT, RUN = "student.safetensors", "result.json", "run.json"


def is_run(folder: str | Path) -> bool:
    """Whether a folder holds a run."""
    return (Path(folder) / RUN).is_file()


def load_run(folder: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The student of a finished run, and what run.json says. Raises `UserError`."""
    folder = Path(folder)
    if not is_run(folder):
        raise UserError(f"'{folder}' holds no run (no {RUN}); name the folder that a train command wrote")
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"the run in '{folder}' is not finished (no {WEIGHTS}); finish it with train --resume")
    facts = read_json(folder / RUN)
    config = RunConfig.from_json(facts["config"])
    model = create(config.model, facts["classes"], size=facts["size"], weights=folder / WEIGHTS)
    return model, facts


def plan(reference: str | None, config: RunConfig) -> RunConfig | Path:
    """What a teacher's name means: a run's folder, or the configuration to train it with first.

    None is the student's own architecture. Raises `UserError` for a name that is neither.
    """
    if reference is None:
        return replace(config, method="ce()")
    if is_run(reference):
        return Path(reference)
    if not _is_model(reference):
        raise UserError(
            f"the teacher {reference!r} is neither the folder of a run nor a model; name a folder such as "
            f"runs/x, or a model to be trained first, such as {config.model!r}"
        )
    if reference == config.model:
        return replace(config, method="ce()")
    return replace(config, method="ce()", model=reference, pretrained=False, weights=None, classifier=None)


def _is_model(name: str) -> bool:
    return name in models.names() or name.startswith(("wrn-", "timm/", "torchvision/"))


def folder_for(config: RunConfig, teachers: Path) -> Path:
    """Where the teacher of this configuration lies once it is trained."""
    text = json.dumps(config.to_json(), sort_keys=True)
    return teachers / f"{config.model.replace('/', '-')}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def require_classes(model: nn.Module, facts: Mapping[str, Any], splits: Splits, folder: Path) -> nn.Module:
    """The teacher, if it tells as many classes as the data has; raises `UserError`."""
    if facts["classes"] != len(splits.classes):
        raise UserError(
            f"the network in '{folder}' tells {facts['classes']} classes apart, but {splits.name} has "
            f"{len(splits.classes)}; take one trained on the same data"
        )
    return model
