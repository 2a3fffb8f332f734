"""Image files below a folder: regular files with an ending that Pillow reads; hidden ones are passed over."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from selfdistill.data.file_paths import FilePaths
from selfdistill.errors import UserError

HIDDEN = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}
HIDDEN |= {"thumbs.db", "ehthumbs.db", "desktop.ini"}  # in addition to names that begin with a dot
UNREADABLE = {"EPS", "MPEG"}  # needs another program; video
NAMED = 3  # files that a note names


class ImageFiles(NamedTuple):
    """Image files below a folder, and the other files and folders that were not read; sorted."""

    images: FilePaths
    left_out: FilePaths


def find_images(folder: Path) -> ImageFiles:
    """Find the image files anywhere below a folder; empty if it is missing.

    Linked files and folders are followed, each folder once. Links to a folder above, broken links, FIFOs, sockets and
    devices are left out.
    """
    files = _walk(folder, set(_above(folder))) if folder.is_dir() else ()
    return _sorted_out((file, _is_image(file[1], regular)) for file, regular in files)


@lru_cache
def image_endings() -> frozenset[str]:
    """Endings of the formats that Pillow reads, plug-ins included, in lower case with their dot."""
    from PIL import Image, ImageFile

    Image.init()
    endings = Image.registered_extensions()
    stubs = {
        name
        for name, (opened, _) in Image.OPEN.items()
        if isinstance(opened, type) and issubclass(opened, ImageFile.StubImageFile)
    }
    readable = (Image.OPEN.keys() | {"MPO"}) - stubs - UNREADABLE  # JPEG's plug-in opens MPO
    return frozenset(ending for ending, name in endings.items() if name in readable)


def is_hidden(name: str) -> bool:
    """Return True for names of files and folders that belong to systems and tools."""
    return name.startswith(".") or name.lower() in HIDDEN


def folders(folder: Path) -> list[str]:
    """Return the sorted names of visible subfolders, without links to a parent folder."""
    return sorted(each.name for each in _visible(folder) if _is_folder(each) and not _leads_up(folder, each))


def loose_files(folder: Path) -> ImageFiles:
    """Image files and other files directly in a folder."""
    entries = (each for each in _visible(folder) if not _is_folder(each) or _leads_up(folder, each))
    return _sorted_out(((folder, each.name), _is_image(each.name, _is_regular(each))) for each in entries)


def left_out_note(root: Path, left_out: Sequence[Path], why: str) -> str | None:
    """Return a sentence with the count, endings and first names of files that were not read; None without any."""
    if not left_out:
        return None
    names = ", ".join(str(each.relative_to(root)) for each in left_out[:NAMED])
    more = ", …" if len(left_out) > NAMED else ""
    return f"left out {_kinds(left_out)} of {root} that {why}: {names}{more}"


def describe_left_out(left_out: Sequence[Path]) -> str:
    """Return a clause on the files found, for the end of a message; empty without files."""
    return f", but {_kinds(left_out)}, such as {left_out[0].name}" if left_out else ""


def _kinds(files: Sequence[Path]) -> str:
    endings = Counter(each.suffix.lower() or "no ending" for each in files).most_common(NAMED)
    counts = ", ".join(f"{count} {ending}" for ending, count in endings)
    return f"{len(files)} {'file' if len(files) == 1 else 'files'} ({counts})"


def _sorted_out(files: Iterable[tuple[tuple[Path, str], bool]]) -> ImageFiles:
    """Separate the images, by folder and name, from other files."""
    found = list(files)
    return ImageFiles(
        FilePaths.of(file for file, is_image in found if is_image),
        FilePaths.of(file for file, is_image in found if not is_image),
    )


def _is_image(name: str, regular: bool) -> bool:
    return regular and os.path.splitext(name)[1].lower() in image_endings()


def _walk(folder: Path, seen: set[Path]) -> Iterator[tuple[tuple[Path, str], bool]]:
    """Yield visible files by folder and name in the order of their paths, and whether each is regular.

    A folder seen before counts as a file that is not.
    """
    seen.add(folder.resolve())
    for entry in _visible(folder):
        if not _is_folder(entry):
            yield (folder, entry.name), _is_regular(entry)
        elif (path := folder / entry.name).resolve() in seen:
            yield (folder, entry.name), False
        else:
            yield from _walk(path, seen)


def _visible(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return sorted((each for each in entries if not is_hidden(each.name)), key=lambda each: each.name)
    except OSError as error:
        raise UserError(f"cannot list {str(folder)!r}: {error.strerror}; change its rights, or remove it") from None


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to a folder without access
        return False


def _leads_up(folder: Path, entry: "os.DirEntry[str]") -> bool:
    return entry.is_symlink() and (folder / entry.name).resolve() in {folder.resolve(), *_above(folder)}


def _above(folder: Path) -> list[Path]:
    """Real paths of the folders above a folder, by its name and by what it links to."""
    return [*(each.resolve() for each in folder.absolute().parents), *folder.resolve().parents]


def _is_regular(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False
