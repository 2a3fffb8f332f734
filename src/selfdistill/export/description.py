"""Description of an exported network: its classes, and how an image becomes its input."""

import json
from collections.abc import Mapping

from torch import Tensor

from selfdistill.data.center_crop import recorded_crop
from selfdistill.records import RunInfo, task_in
from selfdistill.task import SEGMENT
from selfdistill.train.networks import trained_format

CROPPED = "the shorter side is resized to the height divided by crop_pct, then the center is cropped"
WHOLE = "the whole image; the file takes this height and width only, those of the training crops"
WEIGHTS_ONLY = "the whole image, in any size"


def description(info: RunInfo, inputs: Mapping[str, Tensor], *, fixed_size: bool) -> dict[str, object]:
    """Return the description of a run's student as JSON values.

    `inputs` are examples by name, B rows each; `fixed_size` is true of formats that hold the computation.
    """
    shared = {
        "task": task_in(info["config"]).name,
        "classes": info["class_names"],
        "output": "logits",
        "inputs": {name: ["batch", *each.shape[1:]] for name, each in inputs.items()},
        "mean": info["mean"],
        "std": info["std"],
        "model": info["config"]["model"],
        "method": info["method"],
    }
    return shared if isinstance(info["mean"], dict) else shared | _of_images(info, fixed_size)


def as_metadata(values: Mapping[str, object]) -> dict[str, str]:
    """Return values as the texts that a file's metadata hold: text as it is, the rest as JSON.

    >>> as_metadata({"task": "classify", "mean": [0.5]})
    {'task': 'classify', 'mean': '[0.5]'}
    """
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def _of_images(info: RunInfo, fixed_size: bool) -> dict[str, object]:
    pixels, crop = task_in(info["config"]).name == SEGMENT, recorded_crop(info)
    return {
        "channels": len(info["mean"]),
        "size": info.get("sides") or [info["size"]] * 2,  # height and width
        "crop": (WHOLE if fixed_size else WEIGHTS_ONLY) if pixels else CROPPED,
        "interpolation": "bilinear" if pixels else crop.interpolation,
        **({} if pixels else {"crop_pct": crop.crop_pct}),
        "normalization": f"(pixel / {trained_format(info).largest} - mean) / std of each channel",
    }
