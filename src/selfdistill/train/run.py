"""One run, from its configuration to a folder with weights, log and result: resolve, prepare, build, finish."""

import random
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from selfdistill import distributed
from selfdistill.data import Images, kinds
from selfdistill.data.center_crop import WHOLE, recorded_crop
from selfdistill.data.fingerprint import fingerprint
from selfdistill.data.kinds import (
    AnyAugmentation,
    AnyImages,
    AnyLoader,
    AnySplits,
    augmentation_for,
    crop_of,
    example_inputs,
    task_of_splits,
    training_loader,
)
from selfdistill.data.sources import holds_images
from selfdistill.errors import UserError
from selfdistill.features.model_copy import copy_model
from selfdistill.files import exists, write_json
from selfdistill.method import Method
from selfdistill.methods import parse_method
from selfdistill.records import RESULT, RUN, AnyResult, RunInfo, is_run, read_info, read_result
from selfdistill.rng import fork_rng_named, global_rng
from selfdistill.step import Distiller
from selfdistill.task import SEGMENT
from selfdistill.train import artifacts, preflight
from selfdistill.train.config import RunConfig
from selfdistill.train.imbalance import (
    require_balanceable,
    require_same_weights,
    weighted_images,
    weights_by_class,
)
from selfdistill.train.monitor.listener import Listener
from selfdistill.train.networks import (
    BEST,
    WEIGHTS,
    center_crop_of,
    create_for,
    folder_for,
    input_warnings,
    input_words,
    normalization_source,
    normalized_for,
    require_crop,
    require_width,
    resolve_networks,
)
from selfdistill.train.parallel.launch import as_launched, launched, lost_rank_refused
from selfdistill.train.persist import checkpoint
from selfdistill.train.persist.lock import run_lock
from selfdistill.train.trainer import SAVE_EVERY, Trainer

WAITS = "waiting for another run of this process: all threads draw from the same random generators"


@dataclass(frozen=True)
class RunPlan:
    """A resolved run: what to train and where its files go."""

    config: RunConfig  # with the launcher's processes, and the method in canonical form
    method: Method
    folder: Path
    teachers: Path  # folder of the teachers' runs
    save_every: float  # seconds between checkpoints
    listener: Listener


@dataclass(frozen=True)
class RunInputs:
    """The inputs of a trainer: plan, processes, data and networks."""

    plan: RunPlan
    fabric: Fabric
    splits: AnySplits
    networks: Mapping[str, nn.Module]  # by role, without those made from the student


def run(
    config: RunConfig,
    folder: str | Path,
    *,
    resume: bool = True,
    listener: Listener | None = None,
    networks: Mapping[str, nn.Module] | None = None,
    teachers: str | Path | None = None,
    splits: AnySplits | None = None,
    save_every: float = SAVE_EVERY,
    wait: bool = False,
) -> AnyResult:
    """Train as configured and return the result, which is also written to `folder`; accuracies are in percent.

    A finished run is not trained again; an interrupted one continues, unless `resume` is off. `teachers` is the folder
    for runs of teachers that must be trained first; `networks` are trained teachers by role; `splits` is the data, if
    already loaded; `save_every` is the number of seconds between checkpoints. With `wait`, the call waits while another
    process trains in the folder. All processes of a run make the same call; rank 0 writes the files. Raises `UserError`
    if the folder holds another run, if method, model and data do not fit or cannot be loaded, and for too little
    memory or disk; `Interrupted` after a signal.

    >>> result = sd.run(sd.RunConfig("drg()", epochs=1, limit=64), "runs/drg")
    >>> result["method"], 0 <= result["top1"] <= 100
    ('drg()', True)
    """
    plan = resolve(config, folder, teachers=teachers, save_every=save_every, listener=listener)
    if (finished := stored_result(plan, resume, splits)) is not None:
        return finished
    fabric = launched(plan.config)
    if distributed.rank() != 0:
        plan = replace(plan, listener=Listener())
    with global_rng(partial(plan.listener.on_note, WAITS)), lost_rank_refused(), ExitStack() as locks:
        note = plan.listener.on_note if wait else None
        distributed.on_rank_zero(lambda: locks.enter_context(run_lock(plan.folder, note)))
        if (finished := stored_result(plan, resume, splits)) is not None:
            return finished  # by another process, while this one waited
        trainer = build(prepare(plan, fabric, splits, networks))
        trainer.fit()
        return finish(trainer, plan)


def resolve(
    config: RunConfig,
    folder: str | Path,
    *,
    teachers: str | Path | None = None,
    save_every: float = SAVE_EVERY,
    listener: Listener | None = None,
) -> RunPlan:
    """Parse the method and resolve the paths; reads no file. Raises `UserError` for a method that does not parse."""
    if not str(folder):
        raise UserError("a run needs a folder, but its name is empty; name one, or leave --out out")
    if not save_every >= 0:
        raise UserError(f"save every must be 0 seconds or more, but is {save_every}")
    folder, method = Path(folder), parse_method(config.method)
    require_balanceable(config, method)
    teachers = Path(teachers or folder.parent / "teachers")
    return RunPlan(
        as_launched(replace(config, method=method.text)), method, folder, teachers, save_every, listener or Listener()
    )


def prepare(
    plan: RunPlan, fabric: Fabric, splits: AnySplits | None = None, networks: Mapping[str, nn.Module] | None = None
) -> RunInputs:
    """Load the data, load or train the teachers, and check memory and disk.

    Raises `UserError` for data or teachers that cannot be loaded, and for too little memory or disk.
    """
    if splits is None:
        splits = _load_data(plan.config)
        for note in splits.notes:
            plan.listener.on_note(note)
    _require_task(plan.config, splits)
    require_crop(plan.config, splits)
    train = partial(_train_teacher, teachers=plan.teachers, splits=splits, listener=plan.listener)
    networks = resolve_networks(plan.method, plan.config, splits, given=networks, train=train)
    room = preflight.room(
        partial(_dry_run_trainer, plan.method, splits, networks, plan.folder, fabric), plan.config, plan.folder
    )
    distributed.on_rank_zero(lambda: preflight.require(room))
    return RunInputs(plan, fabric, splits, networks)


def _require_task(config: RunConfig, splits: AnySplits) -> None:
    """Raise `UserError` for data of another task than the configuration's, and for patience without validation."""
    found, wanted = task_of_splits(splits), config.resolved_task.name
    if found != wanted:
        raise UserError(f"the data are of task {found!r}, but the configuration is of {wanted!r}; pass task={found!r}")
    for name, images in (("test", splits.test), ("validation", splits.validation)):
        if images is not None and kinds.is_unlabeled(images):
            raise UserError(
                f"no {name} example of {splits.name} has a label, so nothing can be measured; add labels, or leave the "
                f"{name} examples out"
            )
    if config.patience is not None and splits.validation is None:
        raise UserError(
            f"--patience {config.patience} waits for a better validation score, but {splits.name} has no validation "
            "images; hold some out, such as --validation 0.1, or leave --patience out"
        )


def build(inputs: RunInputs) -> Trainer:
    """Build the trainer, write run.json, and continue from the latest checkpoint if there is one."""
    plan, splits = inputs.plan, inputs.splits
    trainer = make_trainer(
        plan.config, plan.method, splits, inputs.networks, plan.folder, plan.listener, plan.save_every, inputs.fabric
    )
    weights = weights_by_class(plan.config, splits)
    info = artifacts.run_metadata(
        plan.config, plan.method, splits, trainer.augment, weights, normalization_source(plan.config, trainer.augment)
    )
    distributed.on_rank_zero(lambda: _write_info(plan.folder, info))
    for note in _input_notes(plan.config, splits, trainer.augment):
        plan.listener.on_note(note)
    plan.listener.on_run_files(plan.folder)
    state = distributed.on_rank_zero(lambda: checkpoint.latest(plan.folder, trainer.require_own, plan.listener.on_note))
    if state is not None:
        trainer.load_state_dict(state)
    return trainer


def _input_notes(config: RunConfig, splits: AnySplits, augment: AnyAugmentation) -> list[str]:
    """Return sentences on the input of trained weights, and on a crop that leaves margins out."""
    words = input_words(config, splits, augment)
    told = words is not None and (config.pretrained or config.weights or crop_of(splits) != WHOLE)
    return [f"images are {words}", *input_warnings(config, augment)] if told else []


def _write_info(folder: Path, info: RunInfo) -> None:
    if exists(folder / checkpoint.LAST):
        require_same_weights(folder, info)
        _require_same_input(folder, info)
    write_json(folder / RUN, info)


def _require_same_input(folder: Path, info: RunInfo) -> None:
    """Raise `UserError` if an unfinished run was begun with another normalization or center crop."""
    then = read_info(folder)
    if (then["mean"], then["std"], recorded_crop(then)) != (info["mean"], info["std"], recorded_crop(info)):
        raise UserError(
            f"the run in {folder} was begun with another normalization or center crop of its images; choose another "
            "--out, or pass --normalization data, --crop-pct and --test-interpolation as in its run.json"
        )


def _train_teacher(config: RunConfig, *, teachers: Path, splits: AnySplits, listener: Listener) -> Path:
    """Train a teacher, unless its run is finished, and return its folder."""
    folder = folder_for(config, teachers)
    same = crop_of(splits) == center_crop_of(config)  # a teacher without trained weights has a crop of its own
    run(config, folder, listener=listener, splits=splits if same else None, teachers=teachers, wait=True)
    return folder


def load_data(config: RunConfig) -> AnySplits:
    """Load the data of a run; its notes name the images left out."""
    return kinds.load_data(
        config.data,
        config.resolved_task.name,
        limit=config.limit,
        validation=config.validation,
        seed=config.seed,
        size=config.size,
        label_noise=config.label_noise,
        decode=config.decode,
        skip_unreadable=config.skip_unreadable,
        test=config.test_part,
        crops=config.augment_recipe.crop_scale is not None,
        channels=config.channels,
        bits=config.bits,
        crop=center_crop_of(config),
        on_note=lambda _: None,
    )


def with_data(config: RunConfig, size: int, data: str) -> RunConfig:
    """Return a run's configuration on other data: images of `size` pixels, masks and tensors as in its training."""
    resized = holds_images(data) and config.resolved_task.name != SEGMENT
    return replace(config, data=data, size=size if resized else config.size, test=0.0, folds=None, fold=0)


def _load_data(config: RunConfig) -> AnySplits:
    """Load the data on rank 0 first, which may have to download it."""
    found: list[AnySplits] = []
    distributed.on_rank_zero(lambda: found.append(load_data(config)))
    return found[0] if found else load_data(config)


def _dry_run_trainer(
    method: Method,
    splits: AnySplits,
    networks: Mapping[str, nn.Module],
    folder: Path,
    fabric: Fabric,
    config: RunConfig,
) -> Trainer:
    """Build a trainer with copies of the networks, so that its steps change none of them."""
    return make_trainer(
        config,
        method,
        splits,
        {role: copy_model(each) for role, each in networks.items()},
        folder,
        Listener(),
        fabric=fabric,
    )


def make_trainer(
    config: RunConfig,
    method: Method,
    splits: AnySplits,
    networks: Mapping[str, nn.Module],
    folder: Path,
    listener: Listener,
    save_every: float = SAVE_EVERY,
    fabric: Fabric | None = None,
) -> Trainer:
    """Build student, distiller and loaders of a run, each with its own random stream."""
    fabric = fabric or launched(config)
    student = _student(config, splits, fabric)
    _seed(config.seed + fabric.global_rank)  # for dropout and other global draws; the rest has its own streams
    augment = normalized_for(config, augmentation_for(splits, config.size, config.augment_recipe))
    images = _on_device(weighted_images(config, method, splits), fabric)
    parts = [
        training_loader(
            images,
            config.batch_size,
            augment=augment,
            mixing=method.mixing,
            erasing=method.erasing,
            needs=method.needs,
            seed=config.seed,
            balanced=config.balanced,
            workers=config.decode_workers,
            rank=fabric.global_rank * config.accumulate + part,  # the loader treats a part as a process
            ranks=fabric.world_size * config.accumulate,
            device=fabric.device,
        )
        for part in range(config.accumulate)
    ]
    distiller = Distiller(
        student,
        method,
        example_inputs(splits.train, parts[0].batch_size // parts[0].ranks, augment),
        networks=networks,
        classifier=config.classifier,
        rows=config.resolved_task.rows,
        aux=config.aux,
        seed=config.seed,
    )
    require_width(distiller, splits, config.model)
    _require_rows(distiller, parts[0], method)
    return Trainer(distiller, parts, splits, augment, config, fabric, folder, listener, save_every)


def _on_device(images: AnyImages, fabric: Fabric) -> AnyImages:
    """Move decoded images to the device, so that a step copies none; masks are cropped on the host."""
    if not isinstance(images, Images):
        return images
    return replace(images, images=images.images.to(fabric.device), labels=images.labels.to(fabric.device))


def stored_result(plan: RunPlan, resume: bool, splits: AnySplits | None = None) -> AnyResult | None:
    """Return the stored result of this configuration, or None if it is not finished.

    Raises `UserError` if the folder holds another run, or an unfinished one that must not be resumed.
    """
    folder = plan.folder
    if not is_run(folder):
        return None
    info = read_info(folder)
    stored, wanted = RunConfig.from_json(info["config"], folder / RUN).to_json(), plan.config.to_json()
    if others := [key.replace("_", " ") for key in wanted if stored[key] != wanted[key]]:
        raise UserError(f"{folder} holds a run with another {' and another '.join(others)}; choose another --out")
    _require_same_data(plan, info, splits)
    if exists(folder / RESULT):
        return read_result(folder, stored)
    if exists(folder / checkpoint.LAST) and not resume:
        raise UserError(f"{folder} holds this run, unfinished; continue it with --resume, or choose another --out")
    return None


def _require_same_data(plan: RunPlan, info: RunInfo, splits: AnySplits | None) -> None:
    """Raise `UserError` if the data have changed since the run in the folder began."""
    stored = info.get("data_fingerprint")
    found = fingerprint(splits or plan.config.data)
    if stored is None or found is None or stored["digest"] == found["digest"]:
        return
    then, now = (f"{each['count']:,} files or images of {each['bytes']:,} bytes" for each in (stored, found))
    raise UserError(
        f"the data of {plan.config.data} have changed since the run in {plan.folder}: {then} then, {now} now; "
        "choose another --out to train on the new data, or delete the folder"
    )


def _student(config: RunConfig, splits: AnySplits, fabric: Fabric) -> nn.Module:
    """Create the student; a convolutional one in channels_last, which is faster."""
    name = f"student{config.generation or ''}"
    with fork_rng_named(f"{config.seed}:{name}"):
        student = create_for(config.model, config, splits, pretrained=config.pretrained, weights=config.weights)
    if any(isinstance(module, nn.Conv2d) for module in student.modules()):
        student.to(memory_format=torch.channels_last)
    if config.sync_batchnorm:  # SyncBatchNorm runs on a GPU only
        synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(student)
        return synced.to(fabric.device)
    return student


def _seed(seed: int) -> None:
    """Seed the global random generators, from which a model or a user's term may draw."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _require_rows(distiller: Distiller, loader: AnyLoader, method: Method) -> None:
    rows = loader.batch_size // loader.ranks
    for name, term in distiller.terms.items():
        if rows < term.min_batch_size:
            raise UserError(
                f"{method.text} compares the rows of a batch (term {name!r}) and needs at least {term.min_batch_size}, "
                f"but a batch has {rows}; pass a larger --batch-size"
            )


def finish(trainer: Trainer, plan: RunPlan) -> AnyResult:
    """Evaluate, then write the weights, and last the result, which marks the run as finished."""
    distiller = trainer.train_step.weights.gather_full()
    student = distiller.close()
    if plan.config.patience is not None:
        student.load_state_dict(trainer.best.weights)

    def write() -> AnyResult:
        found = artifacts.result(trainer, distiller, plan.method)
        artifacts.save_weights(student.state_dict(), plan.folder / WEIGHTS)
        if trainer.best.epoch:
            artifacts.save_weights(trainer.best.weights, plan.folder / BEST)
        write_json(plan.folder / RESULT, found)
        plan.listener.on_result(found)
        return found

    return distributed.on_rank_zero(write)
