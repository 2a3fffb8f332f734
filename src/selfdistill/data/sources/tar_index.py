"""Places of the images in a tar shard of WebDataset's layout, and their labels, found once and kept."""

import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from selfdistill.data.cache_folder import cache_folder, cache_key, file_state
from selfdistill.data.file_paths import packed_texts, unpacked_texts
from selfdistill.data.kept_arrays import Arrays, read_kept, write_kept
from selfdistill.data.sources.image_files import image_endings
from selfdistill.errors import UserError
from selfdistill.files import parse_json

LAYOUT = 1  # of the files; part of their names
KEPT = 1000  # images from which an index is kept
MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)")  # KEY.EXTENSION, from the first dot of the name on
BLOCK = 512  # bytes of a header
LARGEST_LABEL = 2**20  # bytes
LABELS = ("cls", "json", "txt")  # extensions, the first that a shard has
JSON_KEYS = ("label", "class", "cls", "target")
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}  # first bytes


class Wanted(NamedTuple):
    """Extensions of images and labels, and the key of a label in JSON; None: by their usual names."""

    image: str | None = None
    label: str | None = None
    key: str | None = None


class TarIndex(NamedTuple):
    """Images of a shard: places in the file, keys, and labels as they are written."""

    starts: NDArray[np.int64]  # [N]
    sizes: NDArray[np.int64]  # [N] in bytes
    keys: NDArray[np.uint8]  # [N] packed texts
    labels: list[str]  # distinct
    label_of: NDArray[np.int32]  # [N] places in `labels`


USUAL = Wanted()


def tar_index(shard: Path, wanted: Wanted = USUAL) -> TarIndex:
    """Return the index of a shard; a large one is kept until the file's size or time stamp changes.

    Raises `UserError` for a compressed or damaged shard, and for a sample without exactly one image and one label.
    """
    path = cache_folder("shards") / f"{cache_key([LAYOUT, *wanted, *file_state(shard)])}.npz"
    found = read_kept(path)
    if found is not None:
        return _from_arrays(found)
    made = _index(shard, wanted)
    if len(made.starts) >= KEPT:
        write_kept(path, _as_arrays(made))
    return made


def _index(shard: Path, wanted: Wanted) -> TarIndex:
    """Find the places and labels of a shard's samples."""
    samples = _samples(shard)
    label = wanted.label or _label_ending(shard, samples)
    images = [_image(shard, key, members, wanted) for key, members in samples.items()]
    with shard.open("rb") as file:
        texts = [_label(file, shard, key, members, label, wanted) for key, members in samples.items()]
    places = {each: k for k, each in enumerate(dict.fromkeys(texts))}
    starts, sizes = np.array(images, dtype=np.int64).T
    label_of = np.array([places[each] for each in texts], dtype=np.int32)
    return TarIndex(starts, sizes, packed_texts(samples), [*places], label_of)


Place = tuple[int, int]  # start and size in bytes
Members = Mapping[str, Place]  # by extension


def _samples(shard: Path) -> dict[str, dict[str, Place]]:
    """Return the members of each key. Raises `UserError` for a key that is there twice, and for a shard without one."""
    samples: dict[str, dict[str, Place]] = {}
    last = None
    for name, place in _members(shard):
        found = MEMBER.fullmatch(name.removeprefix("./"))
        if found is None or found[1].rpartition("/")[2].startswith("__"):  # no key, or about the shard
            continue
        key, ending = found[1], found[2].lower()
        members = samples.setdefault(key, {})
        if ending in members or (members and key != last):
            raise UserError(
                f"the key {key!r} is in {str(shard)!r} twice ({name}); give each sample its own, with its members side "
                "by side"
            )
        members[ending], last = place, key
    if not samples:
        raise UserError(f"{str(shard)!r} has no samples; a shard has members such as 0001.jpg and 0001.cls")
    return samples


def _members(shard: Path) -> Iterator[tuple[str, Place]]:
    """Yield the names and places of the files in a shard. Raises `UserError` for one that is packed or cut off."""
    _require_plain(shard)
    try:
        with tarfile.open(shard, "r:") as opened:
            while (member := opened.next()) is not None:
                opened.members.clear()  # type: ignore[attr-defined]  # a million of them take a gigabyte
                if member.isreg():
                    yield member.name, (member.offset_data, member.size)
            end = opened.offset
    except tarfile.TarError as error:
        raise UserError(f"cannot read {str(shard)!r}: it is no whole tar file ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"cannot read {str(shard)!r}: {error.strerror or error}; fetch it again") from None
    _require_end(shard, end)


def _require_plain(shard: Path) -> None:
    with shard.open("rb") as file:
        first = file.read(BLOCK)
    for magic, name in PACKED.items():
        if first.startswith(magic):
            raise UserError(
                f"{str(shard)!r} is compressed by {name}, so no image has a place in it; unpack it to a plain .tar"
            )


def _require_end(shard: Path, end: int) -> None:
    """Raise `UserError` unless only zeros follow the last member, one block of them at least."""
    with shard.open("rb") as file:
        file.seek(end)
        block = file.read(BLOCK)
        rest = block
        while rest and not any(rest):
            rest = file.read(2**20)
    if len(block) < BLOCK or rest:
        why = "is cut off or damaged" if len(block) < BLOCK or any(block) else "holds a second archive"
        raise UserError(f"{str(shard)!r} {why} after {end} bytes; fetch it again, or write it anew")


def _image(shard: Path, key: str, members: Members, wanted: Wanted) -> Place:
    endings = [each for each in members if _is_image(each)] if wanted.image is None else [wanted.image]
    if len(endings) == 1 and endings[0] in members:
        return members[endings[0]]
    what = f"{len(endings)} images ({', '.join(endings)})" if len(endings) > 1 else f"no {wanted.image or 'image'}"
    raise UserError(f"{key!r} of {str(shard)!r} has {what}, but {', '.join(members)}; name the image by ?image=jpg")


def _is_image(ending: str) -> bool:
    return f".{ending.rpartition('.')[2]}" in image_endings()


def _label_ending(shard: Path, samples: Mapping[str, Members]) -> str:
    """Return the usual extension of labels that the first sample has."""
    key, members = next(iter(samples.items()))
    if found := next((each for each in LABELS if each in members), None):
        return found
    raise UserError(
        f"{key!r} of {str(shard)!r} has no label: {', '.join(LABELS)} are read, and it has {', '.join(members)}; add "
        "them, or name the extension by ?label=EXTENSION"
    )


def _label(file: BinaryIO, shard: Path, key: str, members: Members, ending: str, wanted: Wanted) -> str:
    """Read the label of a sample as text. Raises `UserError` for one that is missing or unreadable."""
    where = f"{key!r} of {str(shard)!r}"
    if ending not in members:
        raise UserError(f"{where} has no {ending}, but {', '.join(members)}; add the label, or remove the sample")
    start, size = members[ending]
    if size > LARGEST_LABEL:
        raise UserError(f"the {ending} of {where} has {size} bytes, no label; name another by ?label=EXTENSION")
    file.seek(start)
    try:
        text = file.read(size).decode().strip()
        label = _in_json(text, wanted.key, where) if ending.rpartition(".")[2] == "json" else text
    except ValueError as error:
        raise UserError(f"cannot read the {ending} of {where}: {error}; write it in UTF-8") from None
    if not label or "\0" in label:
        raise UserError(f"the {ending} of {where} is empty; write the class of the image")
    return label


def _in_json(text: str, key: str | None, where: str) -> str:
    """Return the label of a JSON object, by its key, or of a JSON number or text. Raises `ValueError` for no JSON."""
    found = parse_json(text)
    if isinstance(found, dict):
        name = key or next((each for each in JSON_KEYS if each in found), None)
        if name is None or name not in found:
            raise UserError(f"the json of {where} has no {key or 'label'!r}, but {_names(found)}; name it by ?key=NAME")
        found = found[name]
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise UserError(
            f"the label of {where} is {json.dumps(found)[:40]}, but a class is a whole number or a text; name another "
            "by ?key=NAME"
        )
    return str(found).strip()


def _names(found: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(found) or "nothing"


def _as_arrays(made: TarIndex) -> Arrays:
    return {**made._asdict(), "labels": packed_texts(made.labels)}


def _from_arrays(found: Arrays) -> TarIndex:
    arrays: dict[str, Any] = {**found, "labels": unpacked_texts(found["labels"])}
    return TarIndex(**arrays)
