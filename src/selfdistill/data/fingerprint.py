"""Fingerprints of data, to detect data that changed during a run."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from torch import Tensor

from selfdistill.data.examples import Examples, TensorSplits
from selfdistill.data.images import Images, Splits
from selfdistill.data.masked_images import MaskedImages, MaskedSplits, MaskedTensors
from selfdistill.data.sources import files_of, path_of
from selfdistill.files import exists, is_file
from selfdistill.inputs import tensors
from selfdistill.records import DataFingerprint

CONTENT = 256 * 2**20  # bytes up to which contents are read; above, names, sizes and times of files stand for them


def fingerprint(data: str | Splits | MaskedSplits | TensorSplits) -> DataFingerprint | None:
    """Return the fingerprint of a data specification's files, or of images in memory.

    It is None for built-in data sets such as "digits", whose files cannot change.
    """
    if not isinstance(data, str):
        return data.fingerprint or _of_images([data.train, data.validation, data.test])
    path = path_of(data)
    if path is None or not exists(path):
        return None
    listed = files_of(data)
    if listed is not None:
        return _of_files({os.path.relpath(each, path.parent): each for each in listed})
    return _of_files({each.relative_to(path).as_posix(): each for each in sorted(_files(path))})


def _of_files(found: Mapping[str, Path]) -> DataFingerprint:
    """Return count, size and digest of files by their names."""
    stats = {name: path.stat() for name, path in found.items()}
    total = sum(each.st_size for each in stats.values())
    digest = blake2b(digest_size=16)
    for name, path in found.items():
        digest.update(f"{name}\n{stats[name].st_size}\n".encode(errors="surrogateescape"))
        digest.update(_content(path) if total <= CONTENT else str(stats[name].st_mtime_ns).encode())
    return {"count": len(found), "bytes": total, "digest": digest.hexdigest()}


def _files(root: Path) -> Iterator[Path]:
    """Yield the regular files below a path, through links, without hidden ones."""
    if is_file(root):
        yield root
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else [each for each in folders if not each.startswith(".")]
        names = [] if real in seen else [each for each in files if not each.startswith(".")]
        seen.add(real)  # a link may lead back
        yield from (path for name in names if (path := Path(folder, name)).is_file())


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
