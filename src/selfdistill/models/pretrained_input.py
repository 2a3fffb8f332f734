"""Input of trained weights: mean and deviation of pixels and the center crop of their training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from selfdistill.data.center_crop import CenterCrop, recorded_crop
from selfdistill.records import is_run, read_info

DATA = "data"  # source of statistics that are those of the run's training images

Statistics = tuple[float, ...]


class PretrainedInput(NamedTuple):
    """Mean and standard deviation by channel, of pixels from 0 to 1, and the center crop; with their source."""

    mean: Statistics
    std: Statistics
    crop: CenterCrop
    source: str

    def statistics(self, channels: int) -> tuple[Statistics, Statistics]:
        """Return mean and deviation of a number of channels; of another number than their own the average."""
        if len(self.mean) == channels:
            return self.mean, self.std
        mean, std = (sum(each) / len(each) for each in (self.mean, self.std))
        return (mean,) * channels, (std,) * channels


def pretrained_input(model: str, *, pretrained: bool, weights: str | None) -> PretrainedInput | None:
    """Return the input of the weights that a network starts from; None where it is unknown.

    Weights of timm and torchvision have a configuration; those of a file the run.json beside it.

    >>> pretrained_input("timm/resnet18.a1_in1k", pretrained=True, weights=None).crop.crop_pct
    0.95
    """
    if weights is not None:
        return _of_run(Path(weights).parent)
    family, _, name = model.partition("/")
    return READERS[family](name) if pretrained and family in READERS else None


def _of_run(folder: Path) -> PretrainedInput | None:
    info = read_info(folder) if is_run(folder) else None
    if info is None or isinstance(info["mean"], dict) or isinstance(info["std"], dict):
        return None
    return PretrainedInput(tuple(info["mean"]), tuple(info["std"]), recorded_crop(info), f"the run in {folder}")


def _of_timm(name: str) -> PretrainedInput | None:
    from timm.data import config
    from timm.models import get_pretrained_cfg

    found: Any = get_pretrained_cfg(name)
    if found is None:
        return None
    resolve: Any = config.resolve_data_config
    values: Mapping[str, Any] = resolve(pretrained_cfg=found.to_dict())
    crop = _crop(values["crop_pct"], values["interpolation"])
    tag = f".{found.tag}" if found.tag and "." not in name else ""
    return PretrainedInput(tuple(values["mean"]), tuple(values["std"]), crop, f"timm/{name}{tag}")


def _of_torchvision(name: str) -> PretrainedInput | None:
    from torchvision import models

    made: Any = models.get_model_weights(name)["DEFAULT"].transforms()
    whole = (getattr(made, "resize_size", None) or [None])[0]
    part = (getattr(made, "crop_size", None) or [None])[0]  # segmentation has none
    crop = _crop(part / whole if part and whole else 1.0, made.interpolation.value)
    return PretrainedInput(tuple(made.mean), tuple(made.std), crop, f"torchvision/{name}")


def _crop(crop_pct: float, interpolation: str) -> CenterCrop:
    return CenterCrop(min(crop_pct, 1.0), "bilinear" if interpolation == "bilinear" else "bicubic")


READERS = {"timm": _of_timm, "torchvision": _of_torchvision}


def describe_input(mean: Sequence[float], std: Sequence[float], source: str, crop: CenterCrop) -> str:
    """Describe the input of a network in a line.

    >>> describe_input((0.5,), (0.25,), "data", CenterCrop())
    'normalized by the training images (mean 0.5, std 0.25); center crop: crop_pct 1, bicubic'
    """
    centers, scales = (", ".join(f"{value:.3g}" for value in each) for each in (mean, std))
    origin = "the training images" if source == DATA else source
    return f"normalized by {origin} (mean {centers}, std {scales}); center crop: {crop}"
