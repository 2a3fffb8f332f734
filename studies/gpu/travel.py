"""Files that travel to a machine without a network: packed into parcels of a limited size, checked on arrival."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

MANIFEST = "manifest.json"
CHUNK = 4 * 2**20  # bytes: small chunks fill each parcel to the last


class Chunk(NamedTuple):
    """A range of bytes of one file."""

    path: str  # relative to the root it was packed from
    start: int
    size: int


def pack(files: Mapping[str, Path], parcels: Path, limit: int) -> list[Path]:
    """Cut files into `parcels/1`, `parcels/2`, … of at most `limit` bytes each; give these folders.

    Args:
        files: where each file lies, by the relative path that it has on arrival.
        parcels: an empty or missing folder.
        limit: bytes per parcel.

    Raises `ValueError` if a limit is below one chunk and the manifest (8 MiB).
    """
    if limit < 2 * CHUNK:
        raise ValueError(f"a parcel of {limit} bytes is too small; allow {2 * CHUNK} at least")
    manifest = {path: {"size": file.stat().st_size, "sha256": digest(file)} for path, file in files.items()}
    made = []
    for number, chunks in enumerate(filled(files, limit - CHUNK), start=1):
        folder = parcels / str(number)
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_text(json.dumps(manifest))
        for k, chunk in enumerate(chunks):
            (folder / f"{number}-{k}.bin").write_bytes(read(files[chunk.path], chunk))
        index = {f"{number}-{k}.bin": chunk._asdict() for k, chunk in enumerate(chunks)}
        (folder / "index.json").write_text(json.dumps(index))
        made.append(folder)
    return made


def filled(files: Mapping[str, Path], limit: int) -> Iterator[list[Chunk]]:
    """Chunks of all files in order, in lists of at most `limit` bytes."""
    parcel: list[Chunk] = []
    for chunk in chunks_of(files):
        if parcel and sum(each.size for each in parcel) + chunk.size > limit:
            yield parcel
            parcel = []
        parcel.append(chunk)
    if parcel:
        yield parcel


def chunks_of(files: Mapping[str, Path]) -> Iterator[Chunk]:
    """Each file in ranges of at most `CHUNK` bytes; an empty file is one range of none."""
    for path, file in files.items():
        size = file.stat().st_size
        for start in range(0, max(size, 1), CHUNK):
            yield Chunk(path, start, min(CHUNK, size - start))


def unpack(parcels: Iterable[Path], target: Path) -> list[str]:
    """Write every chunk that has arrived in its place; give the paths of files that are whole and intact.

    Parcels may come in any order and more than once; a file whose checksum is wrong is not listed.
    """
    manifest: dict[str, dict[str, str | int]] = {}
    for parcel in parcels:
        manifest |= json.loads((parcel / MANIFEST).read_text())
        for name, chunk in json.loads((parcel / "index.json").read_text()).items():
            write(target / chunk["path"], chunk["start"], (parcel / name).read_bytes())
    return [path for path, known in manifest.items() if intact(target / path, str(known["sha256"]))]


def write(path: Path, start: int, data: bytes) -> None:
    """Put bytes at their place in a file, which is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def read(path: Path, chunk: Chunk) -> bytes:
    """The bytes of a chunk."""
    with path.open("rb") as file:
        file.seek(chunk.start)
        return file.read(chunk.size)


def intact(path: Path, sha256: str) -> bool:
    """Whether a file is there, with this checksum."""
    return path.is_file() and digest(path) == sha256


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
