"""Files that a table or list names, which may be written as Windows does."""

import os
from pathlib import Path, PureWindowsPath


def file_of_cell(root: Path, cell: str) -> Path:
    """Return the file of a path below a folder; backslashes separate folders where no file has them in its name."""
    found = root / cell
    turned = root / PureWindowsPath(cell).as_posix()
    return turned if "\\" in cell and not os.path.isfile(found) else found
