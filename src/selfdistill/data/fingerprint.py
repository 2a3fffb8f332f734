"""Fingerprints of data, to detect data that changed during a run."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from selfdistill.data.examples import Examples, TensorSplits
from selfdistill.data.folder_tree import files_below
from selfdistill.data.images import Images, Splits
from selfdistill.data.kept_arrays import Arrays
from selfdistill.data.kept_index import KEEPING, Keeping, kept_index
from selfdistill.data.masked_images import MaskedImages, MaskedSplits, MaskedTensors
from selfdistill.data.sources import files_of, path_of
from selfdistill.files import exists, is_file
from selfdistill.inputs import tensors
from selfdistill.records import DataFingerprint

CONTENT = 256 * 2**20  # bytes up to which contents are read; above, names, sizes and times of files stand for them


def fingerprint(data: str | Splits | MaskedSplits | TensorSplits, keep: Keeping = KEEPING) -> DataFingerprint | None:
    """Return the fingerprint of a data specification's files, or of images in memory.

    It is None for built-in data sets such as "digits", whose files cannot change. That of a million files is kept
    until a folder changes.
    """
    if not isinstance(data, str):
        return data.fingerprint or _of_images([data.train, data.validation, data.test])
    path = path_of(data)
    if path is not None and not exists(path):
        return None
    listed = files_of(data)
    if listed is not None:
        root = path.parent if path else listed[0].parent
        return _of_files(lambda: _listed(listed, root))
    if path is None:
        return None
    if is_file(path):
        return _of_files(lambda: [_File(".", path.stat(), str(path))])
    return _from_arrays(kept_index("fingerprint", path, lambda: _as_arrays(_of_files(lambda: _below(path))), keep))


class _File(NamedTuple):
    """A file with its name in the data set."""

    name: str
    state: os.stat_result
    path: str


def _listed(files: Iterable[Path], root: Path) -> Iterator[_File]:
    named = {os.path.relpath(each, root): each for each in files}
    return (_File(name, each.stat(), str(each)) for name, each in named.items())


def _below(root: Path) -> Iterator[_File]:
    start = len(os.path.join(root, ""))
    for _, entry in files_below(root):
        yield _File(entry.path[start:].replace(os.sep, "/"), entry.stat(), entry.path)


def _of_files(files: Callable[[], Iterable[_File]]) -> DataFingerprint:
    """Return count, size and digest of files by their names, listed twice rather than held."""
    count, total, digest = 0, 0, blake2b(digest_size=16)
    for each in files():
        count, total = count + 1, total + each.state.st_size
    for name, state, path in files():
        digest.update(f"{name}\n{state.st_size}\n".encode(errors="surrogateescape"))
        digest.update(_content(Path(path)) if total <= CONTENT else str(state.st_mtime_ns).encode())
    return {"count": count, "bytes": total, "digest": digest.hexdigest()}


def _as_arrays(found: DataFingerprint) -> Arrays:
    return {name: np.array(value) for name, value in found.items()}


def _from_arrays(found: Arrays) -> DataFingerprint:
    return {"count": int(found["count"]), "bytes": int(found["bytes"]), "digest": str(found["digest"])}


def _content(path: Path) -> bytes:
    with suppress(OSError):  # the source that reads the file says so, in words
        return path.read_bytes()
    return b""


def _of_images(splits: Sequence[Images | MaskedImages | Examples | None]) -> DataFingerprint:
    """Return count, size and digest of images in memory; of images that are files, of their labels alone."""
    digest, count, size = blake2b(digest_size=16), 0, 0
    for images in (each for each in splits if each is not None):
        for each in _parts(images):
            if isinstance(each, Tensor):
                digest.update(each.cpu().contiguous().numpy().tobytes())
                size += each.nbytes
        count += len(images)
    return {"count": count, "bytes": size, "digest": digest.hexdigest()}


def _parts(images: Images | MaskedImages | Examples) -> Iterable[object]:
    """Labels and pixels or inputs, or images and masks."""
    if isinstance(images, Examples):
        return images.labels, *tensors(images.inputs)
    if isinstance(images, Images):
        return images.labels, images.images
    return images.pairs if isinstance(images.pairs, MaskedTensors) else ()
