"""Predictions of a finished run on images without labels: a table, one row an image, written as they are read."""

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from selfdistill.data.decode import NAMED
from selfdistill.errors import UserError
from selfdistill.files import csv_cell, folder_name, is_folder, make_folder, write_atomic
from selfdistill.predict.arrays import array_columns, array_rows
from selfdistill.predict.cells import Cells
from selfdistill.predict.decoded_images import DecodedImage, decoded
from selfdistill.predict.finished_run import FinishedRun, load
from selfdistill.predict.image_paths import image_paths
from selfdistill.predict.transform import TensorTransform
from selfdistill.predict.views import Views, parse_views, side_of_views
from selfdistill.task import SEGMENT

BATCH = 32
FILE = "predictions.csv"


class PredictedImages(NamedTuple):
    """The table that `predict_images` has written, and its counts."""

    path: Path  # of the table
    images: int  # rows of it
    unreadable: int  # of these, images without a prediction
    named: tuple[str, ...]  # the first of them, with their reasons
    kind: str = "images"


def predict_images(
    run: str | Path,
    images: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    tta: str = "none",
    modules: Collection[str] = (),
    device: str = "cpu",
) -> PredictedImages:
    """Write the predictions of a finished run on images: folders, tables of paths, and files; or on files of arrays.

    Rows are in the order of the images and hold the path, then for classes the predicted one, its probability, the
    five most probable ones and `negative_energy`, which is larger for images that resemble those of training; for tags
    those present and the probability of each; for masks the name of a palette PNG beside the table. An image that
    cannot be read has a row with the reason in its column "error".

    `out` is the table (.csv), or the folder for it, by default a folder in the run's. `tta` averages the probabilities
    of mirror images ("flip"), of the corners and the center ("five-crop"), or of both ("ten-crop"). A run on tensors
    takes .npz and .safetensors files, whose rows are numbered. Raises `UserError` if no image can be read.
    """
    views = parse_views(tta)
    finished = load(run, modules=modules, device=device)
    if isinstance(finished.transform, TensorTransform):
        return _predict_arrays(Path(run), finished, images, out, views)
    if finished.task == SEGMENT and tta.endswith("crop"):
        raise UserError(f"{tta} classifies crops of an image, but this run predicts masks; pass --tta flip")
    paths = image_paths(images)
    path = _table_path(Path(run), images, out, finished.task == SEGMENT)
    make_folder(path.parent)
    cells, counts = Cells(finished, views, path.parent), _Counts()
    write_atomic(path, lambda beside: _write(beside, paths, cells, counts))
    return PredictedImages(path, counts.images, counts.unreadable, tuple(counts.named))


def _predict_arrays(
    run: Path, finished: FinishedRun, files: Sequence[str | Path], out: str | Path | None, views: Views
) -> PredictedImages:
    if views != "none":
        raise UserError(f"--tta {views} is of images, but this run was trained on tensors; leave it out")
    path = _table_path(run, files, out, masks=False)
    columns, rows = array_columns(finished), [*array_rows(finished, files)]
    make_folder(path.parent)
    write_atomic(path, lambda beside: _write_table(beside, columns, rows))
    return PredictedImages(path, len(rows), 0, (), "examples")


def _table_path(run: Path, images: Sequence[str | Path], out: str | Path | None, masks: bool) -> Path:
    if out is None:
        return run / folder_name(f"predictions-{Path(images[0]).name}") / FILE
    if Path(out).suffix.lower() != ".csv" or is_folder(out):
        return Path(out) / FILE
    if masks:
        raise UserError(f"masks are files beside the table, but --out {str(out)!r} is one file; name a folder")
    return Path(out)


@dataclass
class _Counts:
    """Images so far, those of them that cannot be read, and the first names of those."""

    images: int = 0
    unreadable: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, image: DecodedImage) -> None:
        """Count one image."""
        self.images += 1
        self.unreadable += bool(image.error)
        if image.error and len(self.named) < NAMED:
            self.named.append(f"{image.path} ({image.error})")


def _write_table(file: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file row by row."""
    with file.open("w", encoding="utf-8", errors="surrogateescape", newline="") as opened:
        lines = csv.writer(opened, lineterminator="\n")
        lines.writerow(map(csv_cell, columns))
        lines.writerows(map(csv_cell, row) for row in rows)


def _write(file: Path, paths: Iterable[Path], cells: Cells, counts: _Counts) -> None:
    """Write the table and count its rows. Raises `UserError` if no image can be read."""
    _write_table(file, ["path", *cells.columns, "error"], _rows(paths, cells, counts))
    if counts.unreadable == counts.images:
        named = ", ".join(counts.named)
        raise UserError(f"none of the {counts.images} images can be read: {named}; repair them, or name others")


def _rows(paths: Iterable[Path], cells: Cells, counts: _Counts) -> Iterator[list[str]]:
    transform = cells.transform
    side = transform.size and side_of_views(cells.views, transform.size)
    for block in decoded(paths, transform, side, BATCH):
        found = cells.of([each for each in block if each.pixels is not None])
        for each in block:
            counts.add(each)
            middle = [""] * len(cells.columns) if each.error else next(found)
            yield [str(each.path), *middle, each.error]
