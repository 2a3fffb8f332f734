"""Lists of class names in the folder of a data set, one per line, with or without colors."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from selfdistill.data.decode_mask import Color
from selfdistill.errors import UserError
from selfdistill.files import read_text

FILES = ("classes.txt", "labels.txt", "label_colors.txt", "class_dict.csv")
GAP = r"[\s,;:]+"
RGB = GAP.join([r"(\d{1,3})"] * 3)
FIRST, LAST = re.compile(rf"{RGB}{GAP}(?P<name>\S.*)"), re.compile(rf"(?P<name>.*[^\s,;:]){GAP}{RGB}")  # the color
HEADER = re.compile(r"name\s*,\s*r\s*,\s*g\s*,\s*b", re.IGNORECASE)


class ClassList(NamedTuple):
    """Names of classes by their ids, and their colors in masks, where the list has them."""

    names: tuple[str, ...]
    colors: tuple[Color, ...] | None = None


def read_class_list(folder: Path) -> ClassList | None:
    """Read classes.txt, labels.txt, label_colors.txt or class_dict.csv of a folder; None without one.

    A line is a name, NAME R G B or R G B NAME, separated by spaces or commas. Raises `UserError` for two lists, doubled
    names or colors, and lists of which only some lines have a color.
    """
    texts = {name: text for name in FILES if (text := read_text(folder / name)) is not None}
    if len(texts) > 1:
        raise UserError(f"{str(folder)!r} has {' and '.join(texts)}, two lists of the classes; remove one")
    for name, text in texts.items():
        return _parse([each.strip() for each in text.splitlines()], folder / name)
    return None


def _parse(lines: Sequence[str], path: Path) -> ClassList:
    entries = [_entry(line, path) for line in lines if line and not HEADER.fullmatch(line)]
    names, colors = [name for name, _ in entries], [color for _, color in entries if color is not None]
    if colors and len(colors) < len(names):
        plain = next(name for name, color in entries if color is None)
        raise UserError(f"{str(path)!r} gives colors for some classes, and none for {plain!r}; add it, or remove all")
    _require_distinct(names, path)
    _require_distinct(colors, path)
    return ClassList(tuple(names), tuple(colors) or None)


def _entry(line: str, path: Path) -> tuple[str, Color | None]:
    """Name and color of a line."""
    match = FIRST.fullmatch(line) or LAST.fullmatch(line)
    if match is None:
        return line, None
    red, green, blue = (int(each) for each in re.findall(r"\d{1,3}", match[0].replace(match["name"], " ", 1)))
    if max(red, green, blue) > 255:
        raise UserError(f"{str(path)!r} has the color {red} {green} {blue}; red, green and blue go from 0 to 255")
    return match["name"], (red, green, blue)


def _require_distinct(entries: Sequence[object], path: Path) -> None:
    if doubled := [each for k, each in enumerate(entries) if each in entries[:k]]:
        shown = " ".join(map(str, doubled[0])) if isinstance(doubled[0], tuple) else doubled[0]
        raise UserError(f"{str(path)!r} lists {shown} twice; give each class a line with its own name and color")
