"""Teachers and peers of a method: loaded from runs, trained first, or untrained for a dry run."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill import models
from selfdistill.data.augment import Augmentation
from selfdistill.data.center_crop import WHOLE, CenterCrop, recorded_crop
from selfdistill.data.kinds import (
    AnyAugmentation,
    AnySplits,
    augmentation_for,
    crop_of,
    describe_example,
    example_inputs,
    image_channels,
    task_of_splits,
    training_size,
)
from selfdistill.data.pixel_format import BYTE, PixelFormat
from selfdistill.data.standardization import Standardization
from selfdistill.errors import UserError
from selfdistill.files import is_file
from selfdistill.method import Method
from selfdistill.method.networks import PeerNetwork, Role, Teacher
from selfdistill.methods import parse_method
from selfdistill.models import create
from selfdistill.models.own_model import is_own, module_of
from selfdistill.models.pretrained_input import DATA, PretrainedInput, describe_input, pretrained_input
from selfdistill.models.stem import RGB
from selfdistill.models.weights import fit_exactly, read
from selfdistill.own_modules import require_named
from selfdistill.records import RUN, RunInfo, is_run, read_info, task_in
from selfdistill.rng import fork_rng_named
from selfdistill.step import Distiller
from selfdistill.task import SEGMENT
from selfdistill.train.config import RunConfig

WEIGHTS = "student.safetensors"
BEST = "best.safetensors"  # the student after the epoch with the best validation accuracy


def resolve_networks(
    method: Method,
    config: RunConfig,
    splits: AnySplits,
    *,
    given: Mapping[str, nn.Module] | None = None,
    train: Callable[[RunConfig], Path] | None = None,
    modules: Collection[str] | None = None,
) -> dict[str, nn.Module]:
    """Return the network of each role that is not made from the student, by role.

    `given` are networks to use as they are. `train` trains a missing teacher and returns the folder of its run;
    without it, a missing teacher is an untrained network of the same architecture, enough for a dry run. A teacher from
    a run is adapted to the student's image size and normalization. Raises `UserError` for a name that is neither a run
    nor a model, and for a teacher of another task or number of classes.

    `modules` are those from which the models of roles may be imported; None for a method that the user has typed. A
    record must not run code.
    """
    networks = dict(given or {})
    for name, role in method.networks.items():
        if name not in networks and (network := _network(name, role, config, splits, train, modules)) is not None:
            networks[name] = network
    return networks


def _network(
    name: str,
    role: Role,
    config: RunConfig,
    splits: AnySplits,
    train: Callable[[RunConfig], Path] | None,
    modules: Collection[str] | None,
) -> nn.Module | None:
    if isinstance(role, PeerNetwork | Teacher) and role.name and modules is not None:
        require_module(role.name, modules, f"the method {config.method}")
    trusted = modules_of(config, role.name) if modules is None and isinstance(role, Teacher) else modules or ()
    if isinstance(role, PeerNetwork):
        return _create(f"{config.seed}:{name}", role.name, config, splits) if role.name else None
    if not isinstance(role, Teacher):
        return None
    planned = plan(role, config)
    if isinstance(planned, Path):
        return _from_run(planned, config, splits, trusted)
    if train:
        return _from_run(train(planned), config, splits, trusted)
    return _create(f"{config.seed}:{name}", planned.model, config, splits)


def create_for(
    model: str, config: RunConfig, splits: AnySplits, *, pretrained: bool = False, weights: str | None = None
) -> nn.Module:
    """Create a network for the classes, size and task of data. Raises `UserError` for tensors that it cannot take."""
    channels = image_channels(splits)
    if channels is None and not is_own(model):
        raise UserError(
            f"{model} takes images [C, H, W], but an example of {splits.name} is {describe_example(splits)}; "
            "pass --model MODULE:CALLABLE, a network of your own"
        )
    return create(
        model,
        len(splits.classes),
        size=training_size(splits, config.size)[0],
        pretrained=pretrained,
        weights=weights,
        task=config.resolved_task.name,
        channels=channels or RGB,
    )


def _create(stream: str, model: str, config: RunConfig, splits: AnySplits) -> nn.Module:
    with fork_rng_named(stream):
        return create_for(model, config, splits)


def _from_run(folder: Path, config: RunConfig, splits: AnySplits, modules: Collection[str]) -> nn.Module:
    model, info = load_run(folder, modules)
    require_classes(info, splits, folder)
    _require_same_fold(info, config, folder)
    size = None if config.resolved_task.name == SEGMENT else training_size(splits, config.size)[0]
    return adapted(model, info, normalized_for(config, augmentation_for(splits, config.size)), size)


def _require_same_fold(info: RunInfo, config: RunConfig, folder: Path) -> None:
    """Raise `UserError` for a teacher that was trained on test images of the student's fold."""
    trained = RunConfig.from_json(info["config"], folder / RUN)
    if trained.data != config.data or trained.folds is config.folds is None or trained.test_part == config.test_part:
        return
    found, wanted = (each.test_part if each.folds else "another test set" for each in (trained, config))
    raise UserError(
        f"the teacher in '{folder}' was trained for {found} of {config.data} and has seen test images of {wanted}; "
        "name a run of the same fold, or a model, which is trained first on each fold"
    )


def require_fit(config: RunConfig, splits: AnySplits) -> None:
    """Raise `UserError` if method, model and data do not fit; runs a forward pass of two images."""
    untrained_distiller(config, splits, rows=2).close()


def untrained_distiller(config: RunConfig, splits: AnySplits, rows: int) -> Distiller:
    """Build a run's distiller for a batch of `rows` images, with untrained networks in place of trained ones."""
    method = parse_method(config.method)
    with fork_rng_named(f"{config.seed}:student"):
        student = create_for(config.model, config, splits, weights=config.weights)
    example = example_inputs(splits.train, rows, augmentation_for(splits, config.size))
    networks = resolve_networks(method, config, splits)
    distiller = Distiller(
        student,
        method,
        example,
        networks=networks,
        classifier=config.classifier,
        rows=config.resolved_task.rows,
        aux=config.aux,
    )
    require_width(distiller, splits, config.model)
    return distiller


def load_run(folder: str | Path, modules: Collection[str] = ()) -> tuple[nn.Module, RunInfo]:
    """Load the student of a finished run, and its run.json.

    A model of a module of the user's own is imported only if `modules` has the module: a record must not run code.
    Raises `UserError` if there is no finished run, and for such a model of another module.
    """
    folder = Path(folder)
    if not is_run(folder):
        raise UserError(f"'{folder}' holds no run (no {RUN}); name the folder that a train command wrote")
    if not is_file(folder / WEIGHTS):
        raise UserError(
            f"the run in '{folder}' is not finished (no {WEIGHTS}); run its train command again to finish it"
        )
    info = read_info(folder)
    config = RunConfig.from_json(info["config"], folder / RUN)
    require_module(config.model, modules, f"the run in '{folder}'")
    task, channels = config.resolved_task.name, trained_channels(info)
    model = create(config.model, info["classes"], size=info["size"], task=task, channels=channels)
    fit_exactly(model, read(folder / WEIGHTS), source=str(folder / WEIGHTS))
    return model, info


def modules_of(config: RunConfig, *others: str | None) -> tuple[str, ...]:
    """Return the modules of the models that the user has named, from which teachers may be imported too."""
    found = (module_of(each) for each in (config.model, *others) if each)
    return tuple(each for each in found if each is not None)


def require_module(model: str, modules: Collection[str], record: str) -> None:
    """Raise `UserError` for a model of a module that the user did not name."""
    require_named(module_of(model), modules, record, f"the model {model!r}")


def plan(role: Teacher, config: RunConfig) -> RunConfig | Path:
    """Resolve a teacher's name to the folder of a run, or to the configuration that trains it.

    A role without a name has the student's architecture. Raises `UserError` for a name that is neither run nor model.
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
    families = ("wrn-", "unet-", "timm/", "torchvision/", "transformers/")
    return name in {*models.names(), *models.names(SEGMENT)} or is_own(name) or name.startswith(families)


def folder_for(config: RunConfig, teachers: Path) -> Path:
    """Return the folder for the run of the teacher with this configuration.

    Its name tells the values that differ from the defaults: fields of later versions leave it as it is.
    """
    usual = RunConfig(config.method).to_json()
    changed = {key: value for key, value in config.to_json().items() if value != usual[key]}
    text = json.dumps({"method": config.method} | changed, sort_keys=True)
    return teachers / f"{config.model.replace('/', '-')}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def require_width(distiller: Distiller, splits: AnySplits, model: str) -> None:
    """Raise `UserError` for a model with another number of logits than the data have classes or tags."""
    wanted, found = len(splits.classes), distiller.anatomy.logits[1]
    if found != wanted:
        raise UserError(f"{model} gives {found} logits, but {splits.name} has {wanted} classes; make it give as many")


def require_classes(info: RunInfo, splits: AnySplits, folder: Path) -> None:
    """Raise `UserError` for a network of another task or number of classes than the data."""
    task, wanted = task_in(info["config"]).name, task_of_splits(splits)
    if task != wanted:
        raise UserError(
            f"the network in '{folder}' was trained for the task {task!r}, but {splits.name} is of the task "
            f"{wanted!r}; take one of the same task"
        )
    if info["classes"] != len(splits.classes):
        raise UserError(
            f"the network in '{folder}' has {info['classes']} classes, but {splits.name} has "
            f"{len(splits.classes)}; take one trained on the same data"
        )


def adapted(model: nn.Module, info: RunInfo, augment: AnyAugmentation, size: int | None) -> nn.Module:
    """Wrap a teacher so that it takes the student's images: resized and normalized as in its own training.

    Without `size` the images are not resized: pixels are classified at their own scale.
    """
    if isinstance(augment, Standardization):
        return _of_same_statistics(model, info, augment)
    mean, std = trained_mean_std(info)
    if len(mean) != len(augment.mean):
        raise UserError(
            f"the teacher reads images of {len(mean)} channel(s), but the data have {len(augment.mean)}; train "
            "one with the same --channels"
        )
    if size in (None, info["size"]) and mean == augment.mean and std == augment.std:
        return model
    return Adapted(model, size and info["size"], (augment.mean, augment.std), (mean, std))


def trained_channels(info: RunInfo) -> int:
    """Return the channels of the images that a run was trained on; 3 for other inputs."""
    mean = info["mean"]
    if not isinstance(mean, dict):
        return len(mean)
    return len(mean[""]) if "" in mean and max(info.get("sides", [1])) > 1 else RGB


def trained_format(info: RunInfo) -> PixelFormat:
    """Return the channels and bits of the image files that a run was trained on."""
    return PixelFormat(trained_channels(info), info["config"].get("bits", BYTE))


def trained_mean_std(info: RunInfo) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of the pixels that a run was trained on. Raises `UserError`."""
    mean, std = info["mean"], info["std"]
    if isinstance(mean, dict) or isinstance(std, dict):
        raise UserError("this run was trained on tensors, not on images; name one that was trained on images")
    return tuple(mean), tuple(std)


def trained_normalization(augment: AnyAugmentation, info: RunInfo) -> AnyAugmentation:
    """Return an augmentation with the mean and standard deviation of a run's training."""
    if isinstance(augment, Standardization):
        return Standardization(*(_by_input(info["mean"]), _by_input(info["std"])))
    mean, std = trained_mean_std(info)
    if isinstance(augment, Augmentation):
        return replace(augment, mean=mean, std=std, largest=trained_format(info).largest)
    return replace(augment, mean=mean, std=std)


def _weights_input(config: RunConfig) -> PretrainedInput | None:
    return pretrained_input(config.model, pretrained=config.pretrained, weights=config.weights)


def center_crop_of(config: RunConfig) -> CenterCrop:
    """Return the center crop of a run's images: as given, else that of trained weights, else the shorter side.

    Without a size images are not resized, and keep all of their pixels unless a crop is given.
    """
    given = config.crop_pct, config.test_interpolation
    found = _weights_input(config) if config.size and None in given else None
    usual = found.crop if found else WHOLE
    return CenterCrop(config.crop_pct or usual.crop_pct, config.test_interpolation or usual.interpolation)


def normalized_for(config: RunConfig, augment: AnyAugmentation) -> AnyAugmentation:
    """Return an augmentation that normalizes as a run's trained weights expect; without such weights unchanged."""
    found = None if config.normalization == DATA else _weights_input(config)
    if found is None or isinstance(augment, Standardization):
        return augment
    mean, std = found.statistics(len(augment.mean))
    return replace(augment, mean=mean, std=std)


def normalization_source(config: RunConfig, augment: AnyAugmentation) -> str:
    """Return where mean and deviation come from: "data", or trained weights."""
    found = None if config.normalization == DATA or isinstance(augment, Standardization) else _weights_input(config)
    return found.source if found else DATA


def recorded_config(info: RunInfo, source: object = None) -> RunConfig:
    """Read the configuration of a run's record, with the center crop that the run has chosen. Raises `UserError`."""
    crop = recorded_crop(info)
    config = RunConfig.from_json(info["config"], source)
    return replace(config, crop_pct=crop.crop_pct, test_interpolation=crop.interpolation)


def require_crop(config: RunConfig, splits: AnySplits) -> None:
    """Raise `UserError` for a crop that is given for images that it does not reach: those in memory, masks, tensors."""
    name = "crop pct" if (config.crop_pct or 1) < 1 else "test interpolation" if config.test_interpolation else None
    if name and crop_of(splits) != center_crop_of(config):
        raise UserError(
            f"{name} is of image files that are resized and cropped, but {splits.name} has none; leave "
            f"--{name.replace(' ', '-')} out"
        )


def input_words(config: RunConfig, splits: AnySplits, augment: AnyAugmentation) -> str | None:
    """Describe normalization and center crop of a run's images; None for tensors."""
    if isinstance(augment, Standardization):
        return None
    return describe_input(augment.mean, augment.std, normalization_source(config, augment), crop_of(splits))


def input_warnings(config: RunConfig, augment: AnyAugmentation) -> list[str]:
    """Return a sentence where trained weights meet other statistics than their own, or unknown ones."""
    if isinstance(augment, Standardization) or not (config.pretrained or config.weights):
        return []
    if (found := _weights_input(config)) is None:
        origin = config.weights or config.model
        return [f"the normalization that the weights of {origin} were trained with is unknown; images have the data's"]
    mean, std = found.statistics(len(augment.mean))
    if (mean, std) == (augment.mean, augment.std):
        return []
    expected = ", ".join(f"{value:.3g}" for value in mean)
    return [f"the weights of {found.source} expect pixels of mean {expected}; leave --normalization {DATA} out"]


def _by_input(values: list[float] | dict[str, list[float]]) -> dict[str, tuple[float, ...]]:
    if not isinstance(values, dict):
        raise UserError("this run was trained on images, not on tensors; name one that was trained on tensors")
    return {name: tuple(each) for name, each in values.items()}


def _of_same_statistics(model: nn.Module, info: RunInfo, augment: Standardization) -> nn.Module:
    found = trained_normalization(augment, info)
    if found != Standardization(dict(augment.mean), dict(augment.std)):
        raise UserError(
            "the teacher standardizes its inputs by another mean and deviation than the student; train it on the same "
            "training examples, with the same --limit and --validation"
        )
    return model


class Adapted(nn.Module):
    """A network behind a change of image size and normalization.

    `size` is the side in pixels, None to keep that of the images; `found` is the normalization of the images, `wanted`
    that of the network's training: mean and standard deviation by channel, of pixels from 0 to 1.
    """

    def __init__(
        self,
        network: nn.Module,
        size: int | None,
        found: tuple[Sequence[float], Sequence[float]],
        wanted: tuple[Sequence[float], Sequence[float]],
    ):
        super().__init__()
        (mean, std), (wanted_mean, wanted_std) = (torch.tensor(each)[:, :, None, None] for each in (found, wanted))
        self.network, self.size = network, size
        self.register_buffer("scale", std / wanted_std, persistent=False)
        self.register_buffer("shift", (mean - wanted_mean) / wanted_std, persistent=False)

    scale: Tensor
    shift: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Resize and renormalize the images, then return the network's logits. [B, 3, H, W] -> [B, C], or maps."""
        if self.size is not None and images.shape[-1] != self.size:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        logits: Tensor = self.network(images * self.scale + self.shift)
        return logits
