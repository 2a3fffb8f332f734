"""Paths of a million files in a few folders: the names in one block of bytes, without an object for each file."""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from selfdistill.data.kept_arrays import Arrays
from selfdistill.data.row_views import RowView


class FilePaths(RowView[Path]):
    """Paths of files by folder and name; `folder_of` [N] int32, `names` of bytes, `ends` [N] int64 of each name."""

    def __init__(
        self,
        folders: Sequence[Path],
        folder_of: NDArray[np.int32],
        names: NDArray[np.uint8],
        ends: NDArray[np.int64],
    ):
        self.folders, self.folder_of, self.names, self.ends = folders, folder_of, names, ends

    @classmethod
    def of(cls, files: Iterable[tuple[Path, str]]) -> "FilePaths":
        """Pack pairs of a folder and a name."""
        places: dict[Path, int] = {}
        folder_of, names, ends = array("i"), bytearray(), array("q")
        for folder, name in files:
            folder_of.append(places.setdefault(folder, len(places)))
            names += os.fsencode(name)
            ends.append(len(names))
        packed = np.frombuffer(folder_of, np.int32), np.frombuffer(names, np.uint8), np.frombuffer(ends, np.int64)
        return cls([*places], *packed)

    @classmethod
    def joined(cls, parts: Sequence["FilePaths"]) -> "FilePaths":
        """Join paths, one part after the other."""
        if not parts:
            return cls.of(())
        lists = list({id(each.folders): each.folders for each in parts}.values())  # parts of one index share theirs
        shifts = dict(zip(map(id, lists), accumulate(map(len, lists), initial=0), strict=False))
        lengths = np.cumsum([0, *(len(each.names) for each in parts[:-1])])
        return cls(
            [folder for each in lists for folder in each],
            np.concatenate([each.folder_of + shifts[id(each.folders)] for each in parts], dtype=np.int32),
            np.concatenate([each.names for each in parts]),
            np.concatenate([each.ends + start for each, start in zip(parts, lengths, strict=True)]),
        )

    def __len__(self) -> int:
        return len(self.ends)

    def at(self, row: int) -> Path:
        """Path of a file."""
        return self.folders[int(self.folder_of[row])] / self.name(row)

    def name(self, row: int) -> str:
        """Name of a file in its folder."""
        start = self.ends[row - 1] if row else 0
        return os.fsdecode(self.names[start : self.ends[row]].tobytes())

    def part(self, start: int, end: int) -> "FilePaths":
        """Files of a range, which share the blocks."""
        first = self.ends[start - 1] if start else 0
        names = self.names[first : self.ends[end - 1]] if end > start else self.names[:0]
        return FilePaths(self.folders, self.folder_of[start:end], names, self.ends[start:end] - first)

    def rows(self, chosen: NDArray[np.int64]) -> "FilePaths":
        """Select files in the given order. chosen [M]."""
        return FilePaths.of((self.folders[self.folder_of[row]], self.name(row)) for row in chosen.tolist())

    def by_folder(self) -> Iterator[tuple[Path, "FilePaths"]]:
        """Yield each folder that holds files, in order, with its files."""
        order = np.argsort(self.folder_of, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(self.folder_of[order])) + 1) if len(order) else []
        found = {self.folders[self.folder_of[part[0]]]: part for part in parts}
        yield from ((folder, self.rows(found[folder])) for folder in sorted(found))

    def used_folders(self) -> set[Path]:
        """Folders that hold files."""
        return {self.folders[k] for k in np.unique(self.folder_of)}

    def arrays(self, root: Path) -> Arrays:
        """Arrays that hold the paths, with folders relative to `root`."""
        folders = packed_texts(os.path.relpath(each, root) for each in self.folders)
        return {"folders": folders, "folder_of": self.folder_of, "names": self.names, "ends": self.ends}

    @classmethod
    def from_arrays(cls, found: Arrays, root: Path) -> "FilePaths":
        """Paths from what `arrays` has returned."""
        return cls(
            [root / each for each in unpacked_texts(found["folders"])],
            found["folder_of"],
            found["names"],
            found["ends"],
        )


class PackedTexts(RowView[str]):
    """Texts of a block of `packed_texts`, read on access."""

    def __init__(self, block: NDArray[np.uint8]):
        self.block, self.ends = block, np.flatnonzero(block == 0)

    def __len__(self) -> int:
        return len(self.ends)

    def at(self, row: int) -> str:
        """Text of a row."""
        start = self.ends[row - 1] + 1 if row else 0
        return os.fsdecode(self.block[start : self.ends[row]].tobytes())


def packed_texts(texts: Iterable[str]) -> NDArray[np.uint8]:
    """Pack names of files or folders into one block of bytes, each with a null character at its end."""
    return np.frombuffer(b"".join(os.fsencode(each) + b"\0" for each in texts), np.uint8)


def unpacked_texts(block: NDArray[np.uint8]) -> list[str]:
    """Names from what `packed_texts` has returned.

    >>> unpacked_texts(packed_texts(["a", "b"]))
    ['a', 'b']
    """
    return os.fsdecode(block.tobytes()).split("\0")[:-1]
