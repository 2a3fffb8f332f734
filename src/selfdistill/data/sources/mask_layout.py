"""Files of a segmentation data set: images and masks by split, with the list of classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from selfdistill.data.masked_files import MaskedFile
from selfdistill.data.sources.class_list import ClassList
from selfdistill.errors import UserError


class MaskLayout(NamedTuple):
    """Files of a segmentation data set by split."""

    train: list[MaskedFile]
    validation: list[MaskedFile] | None
    test: list[MaskedFile]
    classes: ClassList | None
    notes: tuple[str, ...] = ()  # sentences on files that were not read


def pair_files(images: Mapping[str, Path], masks: Mapping[str, Path], folder: Path, wanted: Path) -> list[MaskedFile]:
    """Pair images and masks of one key, in its order; `wanted` is the folder of masks.

    Raises `UserError` for an image without a mask, a mask without an image, and where there is neither.
    """
    if not images:
        raise UserError(f"there are no images in {str(folder)!r}; add some, or remove the folder")
    _require_partners([images[key] for key in sorted(images.keys() - masks.keys())], "image", "mask", wanted)
    _require_partners([masks[key] for key in sorted(masks.keys() - images.keys())], "mask", "image", folder)
    return [MaskedFile(images[key], masks[key]) for key in sorted(images)]


def _require_partners(alone: Sequence[Path], kind: str, other: str, wanted: Path) -> None:
    if alone:
        more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
        raise UserError(
            f"the {kind} {alone[0]}{more} has no {other} of its name in {str(wanted)!r}; add it, or move the {kind} "
            "away"
        )
