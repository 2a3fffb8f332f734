"""Files of a data set in folders: by split, with their classes."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from selfdistill.data.row_views import take
from selfdistill.data.sources.image_files import folders, left_out_note
from selfdistill.errors import UserError
from selfdistill.files import is_file

if TYPE_CHECKING:  # the names of splits are read without torch
    from torch import Tensor

SPLITS = {  # names of the folders, in any case
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),  # "valid" in CINIC-10
    "test": ("test", "testing"),
}
SPLIT_WORDS = {  # in tables and names of arrays, in lower case
    **{name: split for split, names in SPLITS.items() for name in names},
    **dict.fromkeys(("dev", "validate", "eval"), "validation"),
}


class LabelledFiles(NamedTuple):
    """Image files of a split and their class ids, and the files that were not read."""

    folder: Path
    files: Sequence[Path]
    labels: Sequence[int]
    left_out: Sequence[Path] = ()
    unlabelled: Sequence[Path] = ()  # images that belong to no class

    def rows(self, index: "Tensor") -> "LabelledFiles":
        """Select files in the given order. index [M]."""
        return self._replace(files=take(self.files, index), labels=take(self.labels, index))


class FolderLayout(NamedTuple):
    """Image files of a data set by split."""

    root: Path
    train: LabelledFiles
    validation: LabelledFiles | None
    test: LabelledFiles
    classes: tuple[str, ...]
    unread: tuple[str, ...] = ()  # folders that the layout is known to have and that have no labels
    drawn: str | None = None  # a sentence on a test part that was drawn

    def notes(self) -> tuple[str, ...]:
        """Return sentences on files that were not read."""
        splits = [each for each in (self.train, self.validation, self.test) if each is not None]
        other = [file for each in splits for file in each.left_out]
        lost = [file for each in splits for file in each.unlabelled]
        read = {each.folder for each in splits}
        others = () if self.root in read else folders(self.root)
        unread = [each for each in others if self.root / each not in read and each not in self.unread]
        return tuple(
            filter(
                None,
                (
                    self.drawn,
                    left_out_note(self.root, other, "are not image files that Pillow reads"),
                    left_out_note(self.root, lost, "belong to no class"),
                    f"left out these folders of {self.root}: {', '.join(unread)}" if unread else None,
                ),
            )
        )


def labelled(
    folder: Path, pairs: Iterable[tuple[Path, int]], left_out: list[Path], unlabelled: list[Path]
) -> LabelledFiles:
    """Make the files of a split from pairs of a file and its class id."""
    files, labels = zip(*pairs, strict=True) if (pairs := list(pairs)) else ((), ())
    return LabelledFiles(folder, list(files), list(labels), left_out, unlabelled)


def split_folders(root: Path) -> dict[str, Path]:
    """Folders of the splits that are there; raises `UserError` for two of one split."""
    found = {}
    for split, names in SPLITS.items():
        there = [name for name in folders(root) if name.lower() in names]
        if len(there) > 1:
            raise UserError(
                f"{str(root)!r} has {' and '.join(there)}, which both name the {split} images; "
                "rename or move all but one"
            )
        if there:
            found[split] = root / there[0]
    return found


def _other_source(root: Path) -> str:
    """Question after the source of a folder with lists or MATLAB files; empty without."""
    if is_file(root / "train.txt"):
        return f"did you mean list:{root}? or "
    return f"did you mean mat:{root}? or " if next(root.glob("*/*annos.mat"), None) else ""


def require_train(root: Path, splits: dict[str, Path]) -> Path:
    """Return the folder of training images; raise `UserError` if there is none."""
    if "train" not in splits:
        names = folders(root)
        inner = next((each for each in names if "train" in split_folders(root / each)), None)
        hint = f"did you mean folder:{root / inner}? or " if inner else _other_source(root)
        raise UserError(
            f"{str(root)!r} has no train folder, it holds {', '.join(names[:5]) or 'no folders'}; {hint}put the class "
            f"folders into train, and some images of each into test or {', '.join(SPLITS['validation'])}, or hold out "
            "a share of them by --test 0.2"
        )
    return splits["train"]
