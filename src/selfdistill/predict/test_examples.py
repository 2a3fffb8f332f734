"""Predictions of a finished run on test data: a CSV of probabilities, or masks as palette PNGs."""

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.data.ignored import IGNORED
from selfdistill.data.kinds import AnyAugmentation, AnyImages, augmentation_for
from selfdistill.data.masked_files import MaskedFiles
from selfdistill.data.masked_images import MaskedImages
from selfdistill.data.palette import write_mask
from selfdistill.data.sources.own_name import require_data_module
from selfdistill.files import folder_name, make_folder, write_atomic
from selfdistill.metrics.model import predict_batches
from selfdistill.predict.cells import HALF
from selfdistill.predict.device import parse_device
from selfdistill.task import SEGMENT, TAG
from selfdistill.train.networks import load_run, recorded_config, require_classes, trained_normalization
from selfdistill.train.run import load_data, with_data

BATCH = 16
FILE = "predictions.csv"


def predict(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    data: str | None = None,
    modules: Collection[str] = (),
    device: str = "cpu",
) -> list[Path]:
    """Write the predictions of a finished run on its test examples, or on those of `data`; return the paths.

    Masks are palette PNGs of class ids in the size of the image's own mask, one for each image. Classes and tags are
    rows of predictions.csv: the row's place in the test set, its label, the predicted class and the probability of
    each class or tag; a tag whose label is unknown has a question mark. `out` is a folder, by default
    "predictions" in the run's, which is emptied first. Raises `UserError` for a folder
    without a finished run, and for data with other classes.
    """
    there = parse_device(device)
    model, info = load_run(folder, modules)
    model.to(there)
    config = replace(recorded_config(info), label_noise=0.0)
    if data is None:
        require_data_module(config.data, modules, f"the run in '{folder}'")
    splits = load_data(config if data is None else with_data(config, info["size"], data))
    require_classes(info, splits, Path(folder))
    augment = trained_normalization(augmentation_for(splits, config.size), info)
    place = make_folder(Path(out) if out else _emptied(Path(folder) / _folder_name(data)))
    if config.resolved_task.name == SEGMENT:
        masks = zip(_names(splits.test), predicted_masks(model, splits.test, augment, there), strict=True)
        return [_write(place / f"{name}.png", mask) for name, mask in masks]
    batches = predict_batches(model, splits.test, augment, BATCH, there)
    table = _table(batches, splits.classes, tags=config.resolved_task.name == TAG)
    write_atomic(place / FILE, lambda beside: beside.write_text(table, encoding="utf-8"))
    return [place / FILE]


def predicted_masks(
    model: nn.Module, images: AnyImages, augment: AnyAugmentation, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """Yield the class id of each pixel of each image, in the size of its labels. -> [H, W] int64 each."""
    for logits, labels in predict_batches(model, images, augment, BATCH, device):
        yield from F.interpolate(logits, labels.shape[1:], mode="bilinear").argmax(dim=1).cpu()


def _folder_name(data: str | None) -> str:
    return "predictions" if data is None else folder_name(f"predictions-{data}")


def _emptied(folder: Path) -> Path:
    """Remove the predictions of an earlier call, which may be of other examples."""
    for path in [*folder.glob("*.png"), *folder.glob(FILE)]:
        path.unlink()
    return folder


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


def _table(batches: Iterable[tuple[Tensor, Tensor]], classes: tuple[str, ...], *, tags: bool) -> str:
    """Format the rows of all batches of logits and labels."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(["row", "label", "predicted", *classes])
    row = 0
    for logits, labels in batches:
        shares = logits.sigmoid() if tags else logits.softmax(dim=1)
        for each, label in zip(shares.tolist(), labels.tolist(), strict=True):
            wanted = _tags(label, classes) if tags else classes[label]
            guess = _tags(each, classes) if tags else classes[each.index(max(each))]
            lines.writerow([row, wanted, guess, *(f"{share:.6f}" for share in each)])
            row += 1
    return file.getvalue()


def _tags(values: list[float], classes: tuple[str, ...]) -> str:
    """Join the names of the tags that are present; one whose label is unknown has a question mark."""
    marks = {IGNORED: "?", 1: ""}
    known = [IGNORED if value == IGNORED else int(value > HALF) for value in values]
    return "|".join(f"{name}{marks[value]}" for name, value in zip(classes, known, strict=True) if value in marks)
