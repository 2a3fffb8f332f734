"""Predictions of a finished run on its test data: a CSV of probabilities, or masks as palette PNGs."""

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.data.kinds import AnyAugmentation, AnyImages, augmentation_for, evaluation_batches
from selfdistill.data.masked_files import MaskedFiles
from selfdistill.data.masked_images import MaskedImages
from selfdistill.data.palette import write_mask
from selfdistill.features.logits import logits_of
from selfdistill.files import make_folder, write_atomic
from selfdistill.inputs import call_model
from selfdistill.metrics.model import eval_mode
from selfdistill.task import SEGMENT, TAG
from selfdistill.train.config import RunConfig
from selfdistill.train.networks import load_run, require_classes, trained_normalization
from selfdistill.train.run import load_data

BATCH = 16
FILE = "predictions.csv"


def predict(
    folder: str | Path, out: str | Path | None = None, *, data: str | None = None, modules: Collection[str] = ()
) -> list[Path]:
    """Write the predictions of a finished run on its test examples, or on those of `data`; return the paths.

    Masks are palette PNGs of class ids in the size of the image's own mask, one for each image. Classes and tags are
    rows of predictions.csv: the row's place in the test set, its label, the predicted class and the probability of
    each class or tag. `out` is a folder, by default "predictions" in the run's. Raises `UserError` for a folder
    without a finished run, and for data with other classes.
    """
    model, info = load_run(folder, modules)
    config = replace(RunConfig.from_json(info["config"]), label_noise=0.0)
    splits = load_data(config if data is None else replace(config, data=data, task="auto"))
    require_classes(info, splits, Path(folder))
    augment = trained_normalization(augmentation_for(splits, config.size), info)
    place = make_folder(Path(out) if out else Path(folder) / "predictions")
    if config.resolved_task.name == SEGMENT:
        return [_write(place / f"{name}.png", mask) for name, mask in _masks(model, splits.test, augment)]
    table = _table(model, splits.test, augment, splits.classes, tags=config.resolved_task.name == TAG)
    write_atomic(place / FILE, lambda beside: beside.write_text(table, encoding="utf-8"))
    return [place / FILE]


@torch.no_grad()
def predicted_masks(model: nn.Module, images: AnyImages, augment: AnyAugmentation) -> Iterator[Tensor]:
    """Yield the class id of each pixel of each image, in the size of its labels. -> [H, W] int64 each."""
    with eval_mode(model):
        for batch in evaluation_batches(images, BATCH, augment):
            logits = logits_of(call_model(model, batch.inputs)).float()
            yield from F.interpolate(logits, batch.labels.shape[1:], mode="bilinear").argmax(dim=1)


def _masks(model: nn.Module, images: AnyImages, augment: AnyAugmentation) -> Iterator[tuple[str, Tensor]]:
    yield from zip(_names(images), predicted_masks(model, images, augment), strict=True)


def _names(images: AnyImages) -> list[str]:
    """Names of the files without their suffix, each once; else places in the test set."""
    numbers = [f"{row:06d}" for row in range(len(images))]
    if isinstance(images, MaskedImages) and isinstance(images.pairs, MaskedFiles):
        names = [each.image.stem for each in images.pairs.files]
        return names if len(set(names)) == len(names) else [f"{a}-{b}" for a, b in zip(numbers, names, strict=True)]
    return numbers


def _write(path: Path, mask: Tensor) -> Path:
    write_mask(path, mask)
    return path


@torch.no_grad()
def _table(
    model: nn.Module, images: AnyImages, augment: AnyAugmentation, classes: tuple[str, ...], *, tags: bool
) -> str:
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(["row", "label", "predicted", *classes])
    row = 0
    with eval_mode(model):
        for batch in evaluation_batches(images, BATCH, augment):
            logits = logits_of(call_model(model, batch.inputs)).float()
            shares = logits.sigmoid() if tags else logits.softmax(dim=1)
            for each, label in zip(shares.tolist(), batch.labels.tolist(), strict=True):
                wanted = _tags(label, classes, 0.5) if tags else classes[label]
                guess = _tags(each, classes, 0.5) if tags else classes[each.index(max(each))]
                lines.writerow([row, wanted, guess, *(f"{share:.6f}" for share in each)])
                row += 1
    return file.getvalue()


def _tags(values: list[float], classes: tuple[str, ...], least: float) -> str:
    """Join the names of the tags that are present."""
    return "|".join(name for name, value in zip(classes, values, strict=True) if value > least)
