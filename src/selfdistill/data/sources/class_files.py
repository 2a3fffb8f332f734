"""Image files of class folders, of the outer folders or of those that hold images, listed once for large sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selfdistill.data.file_paths import FilePaths, packed_texts, unpacked_texts
from selfdistill.data.kept_arrays import Arrays
from selfdistill.data.kept_index import KEEPING, Keeping, index_folder, kept_index
from selfdistill.data.sources.image_files import ImageFiles, find_images, folders, loose_files
from selfdistill.errors import UserError


class ClassFiles(NamedTuple):
    """Files of a split by class, and the files outside all classes."""

    classes: dict[str, FilePaths]
    left_out: FilePaths
    unlabelled: FilePaths


def files_by_class(folder: Path, level: str | None, keep: Keeping = KEEPING) -> ClassFiles:
    """Files of each class; raises `UserError` where folders inside class folders may be classes too.

    The list of a large set is kept until a folder changes.
    """
    kind = f"classes by {level}"
    return _from_arrays(kept_index(kind, folder, lambda: _as_arrays(_listed(folder, level), folder), keep), folder)


def kept_note(where: str, count: int) -> str | None:
    """Return a sentence on the list that is kept of many files; None for few."""
    if count < KEEPING.files:
        return None
    return (
        f"the list of {where}'s {count:,} files is kept in {index_folder()} until a folder changes; an image that is "
        "overwritten in place is not noticed"
    )


def _listed(folder: Path, level: str | None) -> ClassFiles:
    tops, loose = {name: find_images(folder / name) for name in folders(folder)}, loose_files(folder)
    if level is None:
        _require_flat(folder, tops)
    left_out = FilePaths.joined([*(each.left_out for each in tops.values()), loose.left_out])
    if level == "leaf":
        return ClassFiles(_by_parent(folder, tops), left_out, loose.images)
    return ClassFiles({name: found.images for name, found in tops.items()}, left_out, loose.images)


def _by_parent(folder: Path, tops: Mapping[str, ImageFiles]) -> dict[str, FilePaths]:
    """Files by the folder that they lie in, as a path from the split's folder; an empty class folder stays a class."""
    empty = {name: found.images for name, found in tops.items() if not found.images}
    files = FilePaths.joined([found.images for found in tops.values()])
    return empty | {parent.relative_to(folder).as_posix(): inner for parent, inner in files.by_folder()}


def _require_flat(folder: Path, tops: Mapping[str, ImageFiles]) -> None:
    """Raise `UserError` unless the images of all classes lie in one place of their folder, as in CLASS/images."""
    inner = {name: found.images.used_folders() for name, found in tops.items() if found.images}
    places = {name: sorted(each.relative_to(folder / name).as_posix() for each in inner[name]) for name in inner}
    if len(set(map(tuple, places.values()))) <= 1 and all(len(each) == 1 for each in places.values()):
        return
    name = max(places, key=lambda each: len(places[each]))
    shown = ", ".join("itself" if each == "." else each for each in places[name][:3])
    more = ", …" if len(places[name]) > 3 else ""
    raise UserError(
        f"class folders of {str(folder)!r} hold further folders of images: {name} holds {shown}{more}, so there may "
        f"be {len(places)} classes or {sum(map(len, places.values()))}; add ?classes=leaf to --data to make every "
        "folder of images a class, or ?classes=top for the outer folders alone"
    )


def _as_arrays(found: ClassFiles, root: Path) -> Arrays:
    """All files in one block: those of each class, those left out, those without a class."""
    parts: Sequence[FilePaths] = [*found.classes.values(), found.left_out, found.unlabelled]
    files = FilePaths.joined(parts)
    sizes = np.array([len(each) for each in parts])
    return {**files.arrays(root), "count": np.array(len(files)), "sizes": sizes, "classes": packed_texts(found.classes)}


def _from_arrays(found: Arrays, root: Path) -> ClassFiles:
    files, ends = FilePaths.from_arrays(found, root), np.cumsum(found["sizes"]).tolist()
    *classes, left_out, unlabelled = (files.part(*each) for each in zip([0, *ends[:-1]], ends, strict=True))
    return ClassFiles(dict(zip(unpacked_texts(found["classes"]), classes, strict=True)), left_out, unlabelled)
