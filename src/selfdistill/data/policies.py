"""Augmentation policies: RandAugment, TrivialAugment and AutoAugment, with draws from a generator of the image.

torchvision's own transforms draw from the global generator, which threads and processes share.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator

from selfdistill.data.autoaugment import SUB_POLICIES
from selfdistill.data.image_operations import Operation


class Span(NamedTuple):
    """Range of an operation's magnitude."""

    weakest: float
    strongest: float
    signed: bool = False  # the sign is drawn
    of_side: bool = False  # as a share of the image's side, else in the operation's unit


NONE = Span(0, 0)
COMMON = {"Solarize": Span(1, 0), "AutoContrast": NONE, "Equalize": NONE}
SHIFT = Span(0, 150 / 331, signed=True, of_side=True)
MOVES = {"ShearX": Span(0, 0.3, signed=True), "ShearY": Span(0, 0.3, signed=True)}
COLORS = ("Brightness", "Color", "Contrast", "Sharpness")
RAND_AUGMENT = {  # https://arxiv.org/abs/1909.13719
    "Identity": NONE,
    **MOVES,
    "TranslateX": SHIFT,
    "TranslateY": SHIFT,
    "Rotate": Span(0, 30, signed=True),
    **dict.fromkeys(COLORS, Span(0, 0.9, signed=True)),
    "Posterize": Span(8, 4),
    **COMMON,
}
WIDE = Span(0, 0.99, signed=True)
TRIVIAL_AUGMENT = {  # the wide space of https://arxiv.org/abs/2103.10158
    "Identity": NONE,
    "ShearX": WIDE,
    "ShearY": WIDE,
    "TranslateX": Span(0, 32, signed=True),
    "TranslateY": Span(0, 32, signed=True),
    "Rotate": Span(0, 135, signed=True),
    **dict.fromkeys(COLORS, WIDE),
    "Posterize": Span(8, 2),
    **COMMON,
}
AUTO_AUGMENT = RAND_AUGMENT | {"Solarize": Span(1, 0), "Invert": NONE}
BINS = 31  # magnitudes of RandAugment and TrivialAugment, evenly spaced
STEPS, MAGNITUDE = 2, 9  # operations of RandAugment on an image, and their magnitude
AUTO_BINS = 10  # magnitudes of AutoAugment


def draw_operations(policy: str, height: int, width: int, draws: Generator) -> list[Operation]:
    """Draw the operations of a policy for an image of `height` x `width` pixels.

    >>> len(draw_operations("randaugment", 32, 32, torch.Generator().manual_seed(0)))
    2
    """
    drawn = {"randaugment": _rand_augment, "trivialaugment": _trivial_augment}.get(policy)
    chosen = drawn(draws) if drawn else _auto_augment(policy, draws)
    sides = {"TranslateX": width, "TranslateY": height}
    return [_operation(name, span, place, sides.get(name, 1), draws) for name, span, place in chosen]


def _rand_augment(draws: Generator) -> Iterator[tuple[str, Span, float]]:
    names = list(RAND_AUGMENT)
    for pick in torch.randint(len(names), (STEPS,), generator=draws).tolist():
        yield names[pick], RAND_AUGMENT[names[pick]], MAGNITUDE / (BINS - 1)


def _trivial_augment(draws: Generator) -> Iterator[tuple[str, Span, float]]:
    names = list(TRIVIAL_AUGMENT)
    name = names[int(torch.randint(len(names), (), generator=draws))]
    yield name, TRIVIAL_AUGMENT[name], int(torch.randint(BINS, (), generator=draws)) / (BINS - 1)


def _auto_augment(policy: str, draws: Generator) -> Iterator[tuple[str, Span, float]]:
    steps = SUB_POLICIES[policy][int(torch.randint(len(SUB_POLICIES[policy]), (), generator=draws))]
    for (name, probability, magnitude), coin in zip(steps, torch.rand(len(steps), generator=draws), strict=True):
        if coin <= probability:
            yield name, AUTO_AUGMENT[name], magnitude / (AUTO_BINS - 1)


def _operation(name: str, span: Span, place: float, side: int, draws: Generator) -> Operation:
    """Make an operation whose magnitude lies at `place`, from 0 to 1, of its range."""
    magnitude = span.weakest + place * (span.strongest - span.weakest)
    magnitude = round(magnitude) if name == "Posterize" else magnitude
    sign = -1 if span.signed and torch.rand((), generator=draws) <= 0.5 else 1
    return Operation(name, sign * magnitude * (side if span.of_side else 1))
