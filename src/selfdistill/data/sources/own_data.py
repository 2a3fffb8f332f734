"""Data sets of the user's own, from a function named as own:MODULE:CALLABLE."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfdistill.data.drawn_part import TestPart
from selfdistill.data.images import Images
from selfdistill.data.sources.npz_images import to_pixels
from selfdistill.data.sources.own_name import WRITE, split_name
from selfdistill.data.sources.source_data import PickRows, SourceData
from selfdistill.data.subsets import draw_test, drawn_note, require_undrawn
from selfdistill.errors import UserError
from selfdistill.own_modules import current_folder_importable, import_own

SPLITS, CLASSES = ("train", "validation", "test"), "classes"
WANTED = 'a mapping of "train" and "test" to a data set each, or to images and labels'
BYTE = 255


def read(name: str, argument: str, pick: PickRows, size: int | None, test: TestPart = 0.0) -> SourceData:
    """Import MODULE and call CALLABLE without arguments; read all images that it gives.

    It returns a mapping of "train", "test" and perhaps "validation" to a map-style data set of (image, class id), or to
    a pair of images [N, H, W, 3], [N, 3, H, W] or [N, H, W] and labels [N]; "classes" are their names. Images are
    bytes: PIL images, uint8, or floats k / 255 as `ToTensor` makes them. Raises `UserError` for anything else.
    """
    where, found = f"own:{argument}", _called(argument)
    parts = {split: _images(found[split], size, f"{split} of {where}") for split in SPLITS if split in found}
    parts, notes = _with_test(parts, test, where)
    classes = _classes(found, parts["train"].labels, where)
    for split, each in parts.items():
        _require_known(each.labels, classes, f"{split} of {where}")
    train = parts["train"].rows(pick(parts["train"].labels, classes))
    held = parts.get("validation") if "test" in parts else None
    return SourceData(train, held, parts["test" if "test" in parts else "validation"], classes, notes=notes)


def _called(argument: str) -> Mapping[str, object]:
    """Return the mapping that a callable gives."""
    module, attribute = split_name(argument)
    try:
        with current_folder_importable():
            found = getattr(import_own(module), attribute)()
    except Exception as error:  # a module of the user's own may raise anything
        raise UserError(
            f"cannot load the data own:{argument} ({type(error).__name__}: {error}); {WRITE}, callable without "
            "arguments, and run the command in the folder of the module, or install it"
        ) from error
    if not isinstance(found, Mapping) or "train" not in found:
        kind = f"a mapping of {', '.join(map(str, found))}" if isinstance(found, Mapping) else type(found).__name__
        raise UserError(f"own:{argument} must give {WANTED}, but gives {kind}")
    if strange := [each for each in found if each not in (*SPLITS, CLASSES)]:
        raise UserError(f"own:{argument} gives {strange[0]!r}, but has {', '.join(SPLITS)} and {CLASSES}; rename it")
    return found


def _images(split: Any, size: int | None, where: str) -> Images:
    """Read a pair of arrays, or all items of a map-style data set."""
    pixels, labels = split if isinstance(split, tuple) and len(split) == 2 else _items(split, where)
    ids = torch.as_tensor(np.asarray(labels)).flatten()
    if ids.is_floating_point() and not torch.equal(ids, ids.round()):
        raise UserError(f"the labels of {where} are no whole numbers; give class ids from 0")
    made = [_bytes(each, f"image {row} in {where}") for row, each in enumerate(pixels)]
    if not made or len(made) != len(ids):
        raise UserError(f"{where} has {len(made)} images and {len(ids)} labels; give one label for each image")
    if size is None and len({each.shape for each in made}) > 1:
        raise UserError(f"the images of {where} differ in size; pass --size to resize all")
    same = len({each.shape for each in made}) == 1
    stacked = to_pixels(torch.stack(made), size, where) if same else _each_resized(made, size, where)
    return Images(stacked, ids.long())


def _each_resized(made: Sequence[Tensor], size: int | None, where: str) -> Tensor:
    return torch.cat([to_pixels(each[None], size, where) for each in made])


def _items(dataset: Any, where: str) -> tuple[list[Any], Any]:
    """Images and labels of a map-style data set."""
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__") or isinstance(dataset, Mapping | str):
        raise UserError(f"{where} is {type(dataset).__name__}, but must be a map-style data set, or (images, labels)")
    try:
        items = [dataset[row] for row in range(len(dataset))]
        images, labels = [each[0] for each in items], [int(each[1]) for each in items]
    except Exception as error:  # of the data set's own code
        raise UserError(
            f"cannot read {where} ({type(error).__name__}: {error}); its items must be (image, class id)"
        ) from error
    return images, labels


def _bytes(image: Any, name: str) -> Tensor:
    """Convert an image to bytes. PIL, [H, W], [H, W, 3] or [3, H, W] -> [1 or 3, H, W] uint8."""
    if hasattr(image, "convert"):  # of PIL
        image = image.convert("RGB")
    pixels = torch.as_tensor(np.array(image))  # a copy: views of PIL cannot be written to
    if pixels.is_floating_point():
        pixels = _from_floats(pixels, name)
    if pixels.dtype != torch.uint8 or pixels.dim() not in (2, 3):
        raise UserError(
            f"{name} is {str(pixels.dtype)[6:]} {[*pixels.shape]}, but bytes [H, W, 3] or [3, H, W] are needed"
        )
    if pixels.dim() == 2:
        return pixels[None]
    return pixels if pixels.shape[0] in (1, 3) else pixels.movedim(-1, 0)


def _from_floats(pixels: Tensor, name: str) -> Tensor:
    """Turn k / 255 back to bytes. Raises `UserError` for other floats, such as normalized ones."""
    scaled = pixels.double() * BYTE
    if not bool(((scaled - scaled.round()).abs() < 1e-3).all()) or scaled.min() < 0 or scaled.max() > BYTE:
        raise UserError(
            f"{name} holds floats other than bytes / 255; give bytes: the run augments and normalizes them itself"
        )
    return scaled.round().to(torch.uint8)


def _with_test(parts: dict[str, Images], part: TestPart, where: str) -> tuple[dict[str, Images], tuple[str, ...]]:
    """Draw the test images where there are none. Raises `UserError` where there are."""
    if not part:
        if len(parts) < 2:
            raise UserError(f"{where} gives no test images; give some, or hold out a share by --test 0.2")
        return parts, ()
    require_undrawn("test" in parts, where, part)
    whole = parts["train"]
    train, test = draw_test(whole.labels, part)
    note = drawn_note(where, len(test), len(whole), part)
    return parts | {"train": whole.rows(train), "test": whole.rows(test)}, (note,)


def _classes(found: Mapping[str, Any], labels: Tensor, where: str) -> tuple[str, ...]:
    """Names that the callable gives, those of the training data set, or numbers."""
    names = found.get(CLASSES, getattr(found["train"], CLASSES, None))
    if names is None:
        return tuple(map(str, range(max(int(labels.max()) + 1, 0))))
    classes = tuple(map(str, names))
    if len({*classes}) < len(classes):
        raise UserError(f"the classes of {where} hold a name twice; give each class its own")
    return classes


def _require_known(labels: Tensor, classes: Sequence[str], where: str) -> None:
    wrong = labels[(labels < 0) | (labels >= len(classes))]
    if len(wrong):
        raise UserError(
            f"{where} has the label {int(wrong[0])}, but there are {len(classes)} classes, from 0; correct it"
        )
