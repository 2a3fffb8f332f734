"""Folders of Cityscapes: leftImg8bit/SPLIT/CITY and gtFine/SPLIT/CITY with train ids."""

from pathlib import Path

from selfdistill.data.masked_files import MaskedFile
from selfdistill.data.sources.class_list import ClassList, read_class_list
from selfdistill.data.sources.image_files import find_images, folders
from selfdistill.data.sources.mask_layout import MaskLayout, pair_files
from selfdistill.errors import UserError
from selfdistill.files import is_folder

IMAGES, MASKS = "leftImg8bit", "gtFine"
TRAIN_IDS, LABEL_IDS = "_gtFine_labelTrainIds", "_gtFine_labelIds"
NAMES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)


def is_cityscapes(root: Path) -> bool:
    """Detect the layout by its folders of images and masks."""
    return is_folder(root / IMAGES) and is_folder(root / MASKS)


def cityscapes(root: Path) -> MaskLayout:
    """Read the layout; the validation set is the test set, as the masks of the test images are not published."""
    unread = sorted(set(folders(root / IMAGES)) - {"train", "val"})
    notes = (f"left out these folders of {root / IMAGES}: {', '.join(unread)}",) if unread else ()
    return MaskLayout(
        _split(root, "train"), None, _split(root, "val"), read_class_list(root) or ClassList(NAMES), notes
    )


def _split(root: Path, split: str) -> list[MaskedFile]:
    folder, wanted = root / IMAGES / split, root / MASKS / split
    images = _by_frame(folder, f"_{IMAGES}")
    masks = _by_frame(wanted, TRAIN_IDS)
    if not masks and _by_frame(wanted, LABEL_IDS):
        raise UserError(
            f"{str(wanted)!r} has {LABEL_IDS[1:]} masks, but none of {TRAIN_IDS[1:]}, whose ids are the 19 classes; "
            f"make them with pip install cityscapesscripts, then CITYSCAPES_DATASET={root} csCreateTrainIdLabelImgs"
        )
    return pair_files(images, masks, folder, wanted)


def _by_frame(folder: Path, ending: str) -> dict[str, Path]:
    """Files with an ending, by city and frame."""
    found = find_images(folder).images
    return {
        file.relative_to(folder).as_posix().removesuffix(f"{ending}.png"): file
        for file in found
        if file.name.endswith(f"{ending}.png")
    }
