"""Folders of PASCAL VOC: JPEGImages, SegmentationClass and lists in ImageSets/Segmentation."""

from pathlib import Path

from selfdistill.data.masked_files import MaskedFile
from selfdistill.data.sources.class_list import ClassList, read_class_list
from selfdistill.data.sources.mask_layout import MaskLayout, pair_files
from selfdistill.errors import UserError
from selfdistill.files import is_file, is_folder, read_text

IMAGES, MASKS, LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def is_voc(root: Path) -> bool:
    """Detect the layout by its folders of images and masks."""
    return is_folder(root / IMAGES) and is_folder(root / MASKS)


def voc(root: Path) -> MaskLayout:
    """Read the layout: train.txt names the training images, val.txt the test images, as test.txt has no masks."""
    train, test = _listed(root, "train"), _listed(root, "val")
    if both := {each.image for each in train} & {each.image for each in test}:
        raise UserError(f"{min(both)} is in train.txt and in val.txt of {str(root / LISTS)!r}; remove it from one")
    return MaskLayout(train, None, test, read_class_list(root) or ClassList(NAMES))


def _listed(root: Path, split: str) -> list[MaskedFile]:
    """Files whose names a list holds."""
    path = root / LISTS / f"{split}.txt"
    text = read_text(path)
    if text is None:
        raise UserError(f"{str(path)!r} is missing though {IMAGES} is there; it lists the names of the {split} images")
    names = text.split()
    images = {name: root / IMAGES / f"{name}.jpg" for name in names}
    if lost := [each for each in images.values() if not is_file(each)]:
        raise UserError(f"{str(path)!r} lists {lost[0].stem}, but there is no {lost[0]}; unpack the data set again")
    masks = {name: root / MASKS / f"{name}.png" for name in names}
    found = {name: each for name, each in masks.items() if is_file(each)}
    return pair_files(images, found, path, root / MASKS)
