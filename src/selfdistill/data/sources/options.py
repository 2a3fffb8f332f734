"""Options of a data specification, PATH?KEY=VALUE&KEY=VALUE."""

import math
from collections.abc import Mapping

from selfdistill.data.rgb import ValueRange
from selfdistill.data.sources import split_query
from selfdistill.errors import UserError


def split_options(argument: str, known: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Split an argument into its path and options; `known` maps a key to the form of its value.

    A path that exists as it stands has no options. Raises `UserError` for an option that is unknown, empty or doubled.

    >>> split_options("images?range=0..4095", {"range": "BLACK..WHITE"})
    ('images', {'range': '0..4095'})
    """
    path, query = split_query(argument)
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key not in known or not value or key in options:
            forms = ", ".join(f"?{each}={form}" for each, form in known.items())
            raise UserError(f"cannot read ?{part}; the options are {forms}, each once, joined by &")
        options[key] = value
    return path, options


def parse_counts(argument: str, defaults: Mapping[str, int], prefix: str) -> dict[str, int]:
    """Parse "KEY=COUNT,KEY=COUNT" with counts above 0; `prefix` stands before it in messages. Raises `UserError`.

    >>> parse_counts("size=8", {"size": 32, "train": 256}, "fake:")
    {'size': 8, 'train': 256}
    """
    options = dict(defaults)
    for part in filter(None, argument.split(",")):
        key, _, value = part.partition("=")
        if key not in defaults or not value.isdecimal() or int(value) < 1:
            usage = ",".join(f"{known}={default}" for known, default in defaults.items())
            raise UserError(
                f"cannot read {part!r} of {prefix}{argument}; write {prefix}{usage} or some of these options"
            )
        options[key] = int(value)
    return options


def parse_range(text: str | None) -> ValueRange | None:
    """Parse "BLACK..WHITE", two different numbers; None stays None. Raises `UserError`.

    >>> parse_range("0..4095")
    ValueRange(black=0.0, white=4095.0)
    """
    if text is None:
        return None
    try:
        black, white = (float(each) for each in text.split(".."))
        if black == white or not math.isfinite(black) or not math.isfinite(white):
            raise ValueError
    except ValueError:
        raise UserError(
            f"cannot read ?range={text}; write the values of black and white as ?range=BLACK..WHITE, "
            "such as ?range=0..4095"
        ) from None
    return ValueRange(black, white)


def parse_share(text: str | None, default: float) -> float:
    """Parse a share between 0 and 1, of ?test=SHARE. Raises `UserError`.

    >>> parse_share("0.1", default=0.2)
    0.1
    """
    try:
        share = default if text is None else float(text)
        if not 0 < share < 1:
            raise ValueError
    except ValueError:
        raise UserError(f"cannot read ?test={text}; write a share between 0 and 1, such as ?test=0.2") from None
    return share
