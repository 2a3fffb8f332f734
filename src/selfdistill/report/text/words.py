"""Formatting of sentences: code, lists, plurals."""

from collections.abc import Sequence

from markupsafe import Markup


def code(text: str) -> Markup:
    """Format a method expression as code."""
    return Markup("<code>{}</code>").format(text)


def join_with_and(parts: Sequence[Markup]) -> Markup:
    """Join parts with commas and "and"."""
    if len(parts) < 2:
        return Markup("").join(parts)
    return Markup("{} and {}").format(Markup(", ").join(parts[:-1]), parts[-1])


def count(number: int, noun: str) -> str:
    """Format a number and its noun, in the plural unless 1."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
