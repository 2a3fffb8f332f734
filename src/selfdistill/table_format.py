"""Format of the tables that methods keep of each training image: precision, entries, and place."""

from dataclasses import dataclass
from pathlib import Path

from selfdistill.errors import UserError

USAGE = "full, half, mapped or top:K, or several of them, such as half,mapped"


@dataclass(frozen=True)
class TableFormat:
    """Format of tables with a row for each training image; by default in the precision of the model, in memory."""

    half: bool = False  # float16
    top: int | None = None  # largest entries that are kept of a row of probabilities; None: all
    mapped: bool = False  # in a file that the system reads and writes by pages
    folder: Path | None = None  # of that file; None: the table is held in memory all the same


FULL = TableFormat()


def parse_format(text: str) -> TableFormat:
    """Parse "full", or parts such as "half,mapped" and "half,top:20". Raises `UserError`.

    >>> parse_format("half,top:20")
    TableFormat(half=True, top=20, mapped=False, folder=None)
    """
    if text == "full":
        return FULL
    half, mapped, top = False, False, None
    for part in text.split(","):
        name, _, count = part.strip().partition(":")
        if name == "half" and not count and not half:
            half = True
        elif name == "mapped" and not count and not mapped:
            mapped = True
        elif name == "top" and top is None and count.isdecimal() and int(count) > 0:
            top = int(count)
        else:
            raise UserError(f"cannot read {part.strip()!r} of --memory {text}; write {USAGE}")
    return TableFormat(half, top, mapped)
