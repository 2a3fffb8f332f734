"""Folders of images and masks paired by file name, with or without splits."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator

from selfdistill.data.masked_files import MaskedFile
from selfdistill.data.sources.class_list import FILES, read_class_list
from selfdistill.data.sources.folder_layout import SPLITS, split_folders
from selfdistill.data.sources.image_files import ImageFiles, find_images, folders, left_out_note
from selfdistill.data.sources.mask_layout import MaskLayout, pair_files
from selfdistill.errors import UserError

IMAGES, MASKS = ("images", "image"), ("masks", "mask", "annotations", "labels")  # in any case
ENDINGS = ("_mask", "_label")  # that a mask's name may add to its image's name
TEST_SHARE, TEST_SEED = 5, 0  # a fifth; the test images do not depend on the run's seed


class FolderPair(NamedTuple):
    """Folders of a split's images and masks; None where there are no masks."""

    images: Path
    masks: Path | None


def mask_folders(root: Path) -> MaskLayout:
    """Find the images and masks of each split; without splits a fixed fifth of the images is the test set.

    Folders are images/ and masks/, below train/, val/ and test/, or above them.
    """
    pairs = _folder_pairs(root)
    unlabelled = [split for split, pair in pairs.items() if pair.masks is None and split == "test" and len(pairs) > 2]
    notes = tuple(f"left out the images in {pairs.pop(split).images}, which have no masks" for split in unlabelled)
    files = {split: _pair(pair) for split, pair in pairs.items()}
    notes += tuple(filter(None, map(_left_out, pairs.values())))
    classes = read_class_list(root)
    if "all" in files:
        train, test = _hold_out(files["all"], root)
        return MaskLayout(train, None, test, classes, (*notes, _hold_out_note(root, test)))
    held = files.get("validation") if "test" in files else None
    return MaskLayout(files["train"], held, files.get("test") or files["validation"], classes, notes)


def _folder_pairs(root: Path) -> dict[str, FolderPair]:
    """Folders by split; "all" where there are no splits."""
    images = _one_of(root, IMAGES)
    if images is None:
        return _require_splits(root, {split: _below(each) for split, each in split_folders(root).items()})
    masks = _one_of(root, MASKS)
    inner = split_folders(images)
    if not inner:
        return {"all": FolderPair(images, masks)}
    found = {} if masks is None else split_folders(masks)
    return _require_splits(root, {split: FolderPair(each, found.get(split)) for split, each in inner.items()})


def _below(split: Path) -> FolderPair:
    images = _one_of(split, IMAGES)
    if images is None:
        raise UserError(f"{str(split)!r} has no folder images, it holds {_listed(split)}; put images/ and masks/ there")
    return FolderPair(images, _one_of(split, MASKS))


def _one_of(folder: Path, names: Sequence[str]) -> Path | None:
    """The folder of one of these names; raises `UserError` for two."""
    found = [name for name in folders(folder) if name.lower() in names]
    if len(found) > 1:
        raise UserError(f"{str(folder)!r} has {' and '.join(found)}, which both may hold the {names[0]}; rename one")
    return folder / found[0] if found else None


def _require_splits(root: Path, pairs: dict[str, FolderPair]) -> dict[str, FolderPair]:
    if "train" not in pairs:
        inner = next((each for each in folders(root) if _has_layout_folders(root / each)), None)
        hint = f"did you mean masks:{root / inner}? or " if inner else ""
        raise UserError(
            f"{str(root)!r} has neither images/ and masks/ nor train/, it holds {_listed(root)}; {hint}put images and "
            "masks of equal names into train/images and train/masks, and some into val/ or test/"
        )
    if len(pairs) == 1:
        raise UserError(
            f"{str(root)!r} has no test images next to train, nor {', '.join(SPLITS['validation'])}; move some there, "
            "with their masks"
        )
    return pairs


def _has_layout_folders(folder: Path) -> bool:
    names = {each.lower() for each in folders(folder)}
    return bool(names & {*IMAGES, *SPLITS["train"], "jpegimages", "leftimg8bit"})


def _pair(pair: FolderPair) -> list[MaskedFile]:
    if pair.masks is None:
        raise UserError(
            f"there are no masks for {str(pair.images)!r}; put them into a folder masks next to it, under the names of "
            "the images"
        )
    images = _by_name(pair.images, find_images(pair.images))
    masks = {_image_name(name, images): file for name, file in _by_name(pair.masks, find_images(pair.masks)).items()}
    return pair_files(images, masks, pair.images, pair.masks)


def _by_name(folder: Path, found: ImageFiles) -> dict[str, Path]:
    """Files by their path below a folder, without its ending; raises `UserError` for two of one name."""
    named: dict[str, Path] = {}
    for file in found.images:
        name = file.relative_to(folder).with_suffix("").as_posix()
        if name in named:
            raise UserError(f"{named[name]} and {file} have one name, so masks cannot be told apart; rename one")
        named[name] = file
    return named


def _image_name(name: str, images: dict[str, Path]) -> str:
    """Name of the image that a mask belongs to."""
    shorter = (name.removesuffix(ending) for ending in ENDINGS)
    return name if name in images else next((each for each in shorter if each in images), name)


def _left_out(pair: FolderPair) -> str | None:
    others = [file for folder in pair if folder is not None for file in find_images(folder).left_out]
    return left_out_note(pair.images.parent, [each for each in others if each.name not in FILES], "are not images")


def _hold_out(files: list[MaskedFile], root: Path) -> tuple[list[MaskedFile], list[MaskedFile]]:
    """Split off a fixed fifth of the images."""
    if len(files) < 2:
        raise UserError(f"{str(root)!r} has one image and no test images; add images, or a folder test")
    order = torch.randperm(len(files), generator=Generator().manual_seed(TEST_SEED)).tolist()
    held = set(order[: max(len(files) // TEST_SHARE, 1)])
    parts: tuple[list[MaskedFile], list[MaskedFile]] = ([], [])
    for row, each in enumerate(files):
        parts[row in held].append(each)
    return parts


def _hold_out_note(root: Path, test: list[MaskedFile]) -> str:
    return f"{root} has no splits: {len(test)} of its images, the same in every run, are the test images"


def _listed(folder: Path) -> str:
    return ", ".join(folders(folder)[:5]) or "no folders"
