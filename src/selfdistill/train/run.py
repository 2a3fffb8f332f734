"""One run: from a configuration to a folder that holds all there is to know of it."""

import random
from collections.abc import Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from selfdistill import data, distributed
from selfdistill.data import Images, Loader, Splits
from selfdistill.errors import UserError
from selfdistill.files import read_json, write_json
from selfdistill.method import Method
from selfdistill.methods import parse_method
from selfdistill.models import create
from selfdistill.rng import fork_rng_named
from selfdistill.step import Distiller
from selfdistill.train import artifacts, preflight
from selfdistill.train.artifacts import RunResult
from selfdistill.train.config import RunConfig
from selfdistill.train.monitor.progress import Display, Silent
from selfdistill.train.networks import BEST, RESULT, RUN, WEIGHTS, folder_for, is_run, resolve_networks
from selfdistill.train.parallel.launch import as_launched, launched, together
from selfdistill.train.persist import checkpoint
from selfdistill.train.persist.lock import run_lock
from selfdistill.train.trainer import SAVE_EVERY, Trainer


def run(
    config: RunConfig,
    folder: str | Path,
    *,
    resume: bool = True,
    display: Display | None = None,
    networks: Mapping[str, nn.Module] | None = None,
    teachers: str | Path | None = None,
    splits: Splits | None = None,
    save_every: float = SAVE_EVERY,
    wait: bool = False,
) -> RunResult:
    """Train as configured and return the result, which is also written to `folder`.

    A finished run is not trained again; one that was interrupted goes on, unless `resume` is off. `teachers` is
    where teachers that must be trained first are kept; `networks` are teachers at hand; `splits` the data, where
    it is loaded already; `save_every` the seconds between checkpoints. With `wait`, a folder in which another
    process trains is waited for. All processes of a run call this alike; the first writes the files.
    Raises `UserError` for what a user can mend, `Interrupted` after a signal.
    """
    folder, method = Path(folder), parse_method(config.method)
    config, display = as_launched(replace(config, method=method.text)), display or Silent()
    if (finished := _finished(config, folder, resume)) is not None:
        return finished
    fabric = launched(config)
    display = display if distributed.rank() == 0 else Silent()
    with together(), ExitStack() as holding:
        distributed.on_rank_zero(lambda: holding.enter_context(run_lock(folder, display.note if wait else None)))
        if (finished := _finished(config, folder, resume)) is not None:
            return finished  # meanwhile, by another process
        splits = splits or _load_data(config)
        kept = Path(teachers or folder.parent / "teachers")
        train = partial(_train_teacher, teachers=kept, splits=splits, display=display)
        roles = resolve_networks(method, config, splits, given=networks, train=train)
        room = preflight.room(partial(_rehearsed, method, splits, roles, folder, fabric), config, folder)
        distributed.on_rank_zero(lambda: preflight.require(room))
        trainer = make_trainer(config, method, splits, roles, folder, display, save_every, fabric)
        distributed.on_rank_zero(
            lambda: write_json(folder / RUN, artifacts.run_metadata(config, method, splits, trainer.augment))
        )
        state = distributed.on_rank_zero(lambda: checkpoint.latest(folder, trainer.require_own, display.note))
        if state is not None:
            trainer.load_state_dict(state)
        trainer.fit()
        return _finish(trainer, method, folder)


def _train_teacher(config: RunConfig, *, teachers: Path, splits: Splits, display: Display) -> Path:
    """Train a teacher, unless that is done already, and return its folder."""
    folder = folder_for(config, teachers)
    run(config, folder, display=display, splits=splits, teachers=teachers, wait=True)
    return folder


def load_data(config: RunConfig) -> Splits:
    """The data of a run."""
    return data.load(
        config.data,
        limit=config.limit,
        validation=config.validation,
        seed=config.seed,
        size=config.size,
        label_noise=config.label_noise,
        decode=config.decode,
    )


def _load_data(config: RunConfig) -> Splits:
    """The same, the first process before the others: it may have to be downloaded."""
    found: list[Splits] = []
    distributed.on_rank_zero(lambda: found.append(load_data(config)))
    return found[0] if found else load_data(config)


def _rehearsed(
    method: Method,
    splits: Splits,
    networks: Mapping[str, nn.Module],
    folder: Path,
    fabric: Fabric,
    config: RunConfig,
) -> Trainer:
    """The run's loop with copies of the networks beside it: its steps leave no trace."""
    return make_trainer(config, method, splits, deepcopy(networks), folder, Silent(), fabric=fabric)


def make_trainer(
    config: RunConfig,
    method: Method,
    splits: Splits,
    networks: Mapping[str, nn.Module],
    folder: Path,
    display: Display,
    save_every: float = SAVE_EVERY,
    fabric: Fabric | None = None,
) -> Trainer:
    """Model, distiller and loader of a run, each from random streams of its own."""
    fabric = fabric or launched(config)
    student = _student(config, splits, fabric)
    _seed(config.seed + fabric.global_rank)  # for dropout and its like; all else has a stream of its own
    augment = data.default_augmentation(splits)
    images = Images(splits.train.images.to(fabric.device), splits.train.labels.to(fabric.device))
    parts = [
        Loader(
            images,
            config.batch_size,
            augment=augment,
            mixing=method.mixing,
            erasing=method.erasing,
            needs=method.needs,
            seed=config.seed,
            rank=fabric.global_rank * config.accumulate + part,  # a part is to the data what a process is
            ranks=fabric.world_size * config.accumulate,
            device=fabric.device,
        )
        for part in range(config.accumulate)
    ]
    example = augment.normalize(splits.train.images[: parts[0].batch_size // parts[0].ranks])
    distiller = Distiller(student, method, example, networks=networks, classifier=config.classifier, seed=config.seed)
    _require_rows(distiller, parts[0], method)
    return Trainer(distiller, parts, splits, augment, config, fabric, folder, display, save_every)


def _finished(config: RunConfig, folder: Path, resume: bool) -> RunResult | None:
    """The stored result of this very configuration; `UserError` where the folder holds something else."""
    if not is_run(folder):
        return None
    stored, asked = RunConfig.from_json(read_json(folder / RUN)["config"]).to_json(), config.to_json()
    if others := [key.replace("_", " ") for key in asked if stored[key] != asked[key]]:
        raise UserError(f"{folder} holds a run with another {' and another '.join(others)}; choose another --out")
    if (folder / RESULT).exists():
        return cast(RunResult, read_json(folder / RESULT))
    if (folder / checkpoint.LAST).exists() and not resume:
        raise UserError(f"{folder} holds this run, unfinished; go on with it by --resume, or choose another --out")
    return None


def _student(config: RunConfig, splits: Splits, fabric: Fabric) -> nn.Module:
    """The model to be trained; a convolutional one in channels_last, in which its steps are faster."""
    name = f"student{config.generation or ''}"
    with fork_rng_named(f"{config.seed}:{name}"):
        student = create(
            config.model,
            len(splits.classes),
            size=splits.train.size,
            pretrained=config.pretrained,
            weights=config.weights,
        )
    if any(isinstance(module, nn.Conv2d) for module in student.modules()):
        student.to(memory_format=torch.channels_last)
    if config.sync_batchnorm:  # which computes on a GPU only
        synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(student)
        return synced.to(fabric.device)
    return student


def _seed(seed: int) -> None:
    """Start the random streams that a model or a user's own term may draw from."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _require_rows(distiller: Distiller, loader: Loader, method: Method) -> None:
    rows = loader.batch_size // loader.ranks
    for name, term in distiller.terms.items():
        if rows < term.min_batch_size:
            raise UserError(
                f"{method.text} compares the rows of a batch (term {name!r}) and needs {term.min_batch_size} at least, "
                f"but a batch has {rows}; pass a larger --batch-size"
            )


def _finish(trainer: Trainer, method: Method, folder: Path) -> RunResult:
    """Evaluate, then write the weights and the result; the result comes last, as it marks the run as finished."""
    distiller = trainer.train_step.weights.whole()
    student = distiller.close()

    def write() -> RunResult:
        found = artifacts.result(trainer, distiller, method)
        artifacts.save_weights(student.state_dict(), folder / WEIGHTS)
        if trainer.best.epoch:
            artifacts.save_weights(trainer.best.weights, folder / BEST)
        write_json(folder / RESULT, found)
        return found

    return distributed.on_rank_zero(write)
